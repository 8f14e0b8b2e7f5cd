/**
 * Collects the entries of one READDIR or READDIRPLUS reply: as many as fit what the kernel asked for, none in part.
 * An entry that was not accepted left no trace.
 */
import { dirent, entryOut } from "./abi-layouts.ts";
import { encodeEntry } from "./encode.ts";
import type { DirectoryEntry } from "./operations.ts";
import { type Frame, frameOf, setU64 } from "./wire.ts";

/** More than this is never filled, whatever the kernel asks: it comes again. */
export const directoryBufferBytes = 128 * 1024;
const idleBuffersMax = 8;
const idle: Frame[] = [];

export class DirectoryBuffer {
  private readonly frame: Frame;
  private readonly capacity: number;
  private readonly plus: boolean;
  private length = 0;

  /** @param bytesMax what the kernel asked for */
  constructor(bytesMax: number, plus: boolean) {
    this.frame = idle.pop() ?? frameOf(Buffer.allocUnsafeSlow(directoryBufferBytes));
    this.capacity = Math.min(bytesMax, directoryBufferBytes);
    this.plus = plus;
  }

  get isEmpty(): boolean {
    return this.length === 0;
  }

  /** What was collected: borrowed until `release`. */
  get bytes(): Buffer {
    return this.frame.bytes.subarray(0, this.length);
  }

  /** The `DirectorySink` of this buffer. */
  readonly add = (entry: DirectoryEntry): boolean => {
    const start = this.length;
    const at = this.plus ? start + entryOut.bytes : start;
    const { name } = entry;
    const end = at + ((dirent.name + name.length + 7) & ~7);
    if (end > this.capacity) return false;
    const { bytes, view } = this.frame;
    if (this.plus) this.addAttributes(start, entry);
    setU64(view, at + dirent.ino, entry.ino);
    setU64(view, at + dirent.cookie, entry.cookie);
    view.setUint32(at + dirent.nameLength, name.length, true);
    view.setUint32(at + dirent.type, entry.type >>> 12, true);
    bytes.write(name, at + dirent.name, "latin1");
    bytes.fill(0, at + dirent.name + name.length, end);
    this.length = end;
    return true;
  };

  release(): void {
    if (idle.length < idleBuffersMax) idle.push(this.frame);
  }

  /** Inode 0 in the entry's place means: no attributes, and no lookup counted. */
  private addAttributes(at: number, entry: DirectoryEntry): void {
    if (entry.entry === undefined) this.frame.bytes.fill(0, at, at + entryOut.bytes);
    else encodeEntry(this.frame, at, entry.entry);
  }
}
