/**
 * A conformance case: a sentence and a function that acts on a fresh directory through system calls and throws when
 * what it sees is not POSIX. The same cases run on a local ext4 directory and on the mount.
 */
import { deepStrictEqual, strictEqual } from "node:assert";
import type { Peer } from "./peer.ts";
import { SysError } from "./libc/calls.ts";

export interface Place {
  /** An absolute path of a fresh, empty directory, mode 0777, of root. */
  readonly dir: string;
  /** `dir/name`. */
  path(name: string): string;
  /** Another process (for locks and the like), started at first use. */
  readonly peer: Peer;
}

export interface ConformanceCase {
  readonly title: string;
  readonly run: (place: Place) => void;
}

/** Collects the cases of one topic: `const cases = suite("unlink"); cases.add("removes a file", (p) => ...)`. */
export function suite(topic: string): {
  add(title: string, run: (place: Place) => void): void;
  readonly all: ConformanceCase[];
} {
  const all: ConformanceCase[] = [];
  return {
    add(title, run) {
      all.push({ title: `${topic}: ${title}`, run });
    },
    all,
  };
}

/** `fn(...args)` must fail with exactly this errno (or one of these, where POSIX leaves a choice). */
export function fails<A extends readonly unknown[]>(
  errno: string | readonly string[],
  fn: (...args: A) => void,
  ...args: A
): void {
  const wanted = typeof errno === "string" ? [errno] : errno;
  let got = "success";
  try {
    fn(...args);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    got = error.errno;
  }
  if (!wanted.includes(got)) throw new Error(`expected ${wanted.join(" or ")}, got ${got}`);
}

export const equal: (got: unknown, wanted: unknown, what?: string) => void = (got, wanted, what) => {
  if (typeof got === "object" && got !== null) deepStrictEqual(got, wanted, what);
  else strictEqual(got, wanted, what);
};

export function holds(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}
