/**
 * Which inodes the kernel may have pages of: noted where it outlives this process before the kernel can get the first
 * one (the reply to an open), so that a driver that takes the mount over knows what to drop.
 *
 * The notes are two files, given as descriptors opened for appending: 8 bytes (u64, little endian) per inode. The truth
 * is the union of both: one is appended to, the other is empty but while notes are rewritten. A process may be killed
 * between any two writes: then more is noted than needed, never less. An inode is noted once; rewriting drops those that
 * the kernel has forgotten, when the notes have doubled, so their size is bounded by the inodes that the kernel knows.
 */
import { fstatSync, ftruncateSync, readSync, writeSync } from "node:fs";
import type { Ino } from "../base/ids.ts";
import { getU64, setU64 } from "./wire.ts";

export type NoteFiles = readonly [number, number];

const noteBytes = 8;
const piece = 65_536 * noteBytes;
/** Fewer notes are not worth rewriting. */
const rewriteAtLeast = 65_536;

/** Of which inodes drivers so far have noted that the kernel may have pages. */
export function notedIn(files: NoteFiles): readonly Ino[] {
  return [...new Set(files.flatMap(readNotes))];
}

export class KernelPages {
  /** What drivers before this one had noted; empty after `dropped`. */
  inherited: readonly Ino[];
  private readonly noted = new Set<Ino>();
  private readonly note = new DataView(new ArrayBuffer(noteBytes));
  private readonly mayBeKnown: (ino: Ino) => boolean;
  private files: NoteFiles;
  private rewriteAt = rewriteAtLeast;

  /** @param mayBeKnown whether the kernel may still have the inode */
  constructor(files: NoteFiles, mayBeKnown: (ino: Ino) => boolean) {
    this.files = files;
    this.mayBeKnown = mayBeKnown;
    this.inherited = notedIn(files);
  }

  /** The kernel is about to be allowed to keep pages of it. Throws when that cannot be noted: then it may not. */
  add(ino: Ino): void {
    if (this.noted.has(ino)) return;
    setU64(this.note, 0, ino);
    writeSync(this.files[0], this.note);
    this.noted.add(ino);
    if (this.noted.size >= this.rewriteAt) this.rewrite();
  }

  /** The kernel has no page any more that it had before this driver. */
  dropped(): void {
    this.inherited = [];
    this.rewrite();
  }

  private rewrite(): void {
    for (const ino of this.noted) if (!this.mayBeKnown(ino)) this.noted.delete(ino);
    const [old, fresh] = this.files;
    ftruncateSync(fresh);
    writeNotes(fresh, [...this.inherited, ...this.noted]);
    ftruncateSync(old);
    this.files = [fresh, old];
    this.rewriteAt = Math.max(rewriteAtLeast, 2 * this.noted.size);
  }
}

/** A last note that is not whole was being written when its process died: the kernel has not heard of it. */
function readNotes(fd: number): Ino[] {
  const bytes = Buffer.alloc(fstatSync(fd).size);
  let length = 0;
  for (let got = -1; got !== 0 && length < bytes.length; length += got) {
    got = readSync(fd, bytes, length, bytes.length - length, length);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, length);
  return Array.from({ length: Math.floor(length / noteBytes) }, (_, i) => getU64(view, i * noteBytes) as Ino);
}

function writeNotes(fd: number, inos: readonly Ino[]): void {
  const bytes = Buffer.allocUnsafe(Math.min(piece, inos.length * noteBytes));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let length = 0;
  for (const ino of inos) {
    setU64(view, length, ino);
    length += noteBytes;
    if (length < bytes.length) continue;
    writeAll(fd, bytes);
    length = 0;
  }
  writeAll(fd, bytes.subarray(0, length));
}

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done);
}
