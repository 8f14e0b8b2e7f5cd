/**
 * One of the two filesystems that are compared: a root directory and what is open there. Descriptors are known by slot,
 * the same number on both sides.
 */
import { SysError } from "../conformance/libc/calls.ts";
import type { Mapping } from "../conformance/libc/mapping.ts";
import { sys } from "../conformance/libc/sys.ts";

export interface OpenFile {
  readonly fd: number;
  /** How it was opened, for people. */
  readonly what: string;
  /** Which of the side's roots it was opened through. */
  readonly root: Buffer;
  /** A shared mapping of its first bytes, if there is one. */
  mapping?: { readonly bytes: number; readonly map: Mapping };
}

export class Side {
  readonly name: string;
  readonly open = new Map<number, OpenFile>();
  /** The same directory, seen through each mount of the filesystem. */
  readonly roots: readonly Buffer[];
  /** Through which of them paths go now. */
  root: Buffer;

  constructor(name: string, roots: readonly string[]) {
    this.name = name;
    this.roots = roots.map((root) => Buffer.from(root));
    this.root = this.roots[0] ?? Buffer.alloc(0);
  }

  /** The whole path of a relative one; names are latin1: one character a byte. */
  path(relative: string, root = this.root): Buffer {
    return Buffer.concat([root, Buffer.from(relative === "" ? "" : `/${relative}`, "latin1")]);
  }

  file(slot: number): OpenFile {
    const file = this.open.get(slot);
    if (file === undefined) throw new Error(`slot ${String(slot)} is not open on ${this.name}`);
    return file;
  }
  fd(slot: number): number {
    return this.file(slot).fd;
  }

  put(slot: number, fd: number, what: string, root = this.root): void {
    this.close(slot);
    this.open.set(slot, { fd, what, root });
  }

  close(slot: number): void {
    const file = this.open.get(slot);
    if (file === undefined) return;
    this.open.delete(slot);
    file.mapping?.map.unmap();
    sys.close(file.fd);
  }

  closeAll(): void {
    for (const slot of [...this.open.keys()]) this.close(slot);
  }
}

/** What an action came to: `value`, or the name of an errno. */
export type Outcome = { readonly value: unknown } | { readonly errno: string };

export function outcomeOf(act: () => unknown): Outcome {
  try {
    return { value: act() ?? null };
  } catch (error) {
    if (error instanceof SysError) return { errno: error.errno };
    throw error;
  }
}

/** One line. Undefined if both are the same. */
export function difference(a: Outcome, b: Outcome): string | undefined {
  const [textA, textB] = [describe(a), describe(b)];
  if ("value" in a && "value" in b && Buffer.isBuffer(a.value) && Buffer.isBuffer(b.value)) {
    if (a.value.equals(b.value)) return undefined;
    const [bytesA, bytesB] = [a.value, b.value];
    const at = bytesA.findIndex((byte, i) => byte !== bytesB[i]);
    const from = at < 0 ? Math.min(bytesA.length, bytesB.length) : at;
    const piece = (bytes: Buffer): string => bytes.subarray(from, from + 16).toString("hex");
    return `ext4 ${textA}, dfs ${textB}, from byte ${String(from)}: ext4 ${piece(bytesA)}, dfs ${piece(bytesB)}`;
  }
  return textA === textB ? undefined : `ext4 ${textA}, dfs ${textB}`;
}

function describe(outcome: Outcome): string {
  if ("errno" in outcome) return outcome.errno;
  if (Buffer.isBuffer(outcome.value)) return `${String(outcome.value.length)} bytes`;
  return JSON.stringify(outcome.value, (_key, value: unknown) => (typeof value === "bigint" ? String(value) : value));
}
