/** What is in a folder. Printed by look.ts, one JSON line for each folder; compared by check.ts. */

export interface FoundEntry {
  /** Relative to the folder, which itself is ".". */
  readonly path: string;
  readonly type: "file" | "directory" | "symlink";
  readonly ino: number;
  readonly mode: number;
  readonly nlink: number;
  /** Nanoseconds since 1970, as text. */
  readonly mtime: string;
  /** Of a file: see digestOf. */
  readonly digest?: string;
  /** Of a symlink. */
  readonly target?: string;
}

/** `unreadable`: what could not be looked at, and why. */
export interface Found {
  readonly entries: readonly FoundEntry[];
  readonly unreadable: readonly string[];
}
