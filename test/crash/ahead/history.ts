/**
 * What a process did to a folder, in the order in which it did it: one operation after the other, each written down
 * before it began and after it returned, to a file outside of the mount. One JSON line each:
 *
 *   {"index":7,"action":{...}}                  began
 *   {"index":7,"done":4096}                     returned (a write: how many bytes)
 *   {"index":7,"refused":"EEXIST"}              returned with the error that it had to return: nothing has changed
 *   {"index":7,"died":"ENOTCONN","at":MILLIS}   returned with an error that it need not return; the last line
 *   {"killedAt":MILLIS}                         the process has killed the client itself, just before
 *
 * Paths are relative to the folder, which is ".". A handle is a number that the process chose at open.
 */

export type Action =
  | { readonly type: "create"; readonly path: string; readonly mode: number; readonly handle: number }
  | {
      readonly type: "open";
      readonly path: string;
      readonly handle: number;
      readonly cut: boolean;
      readonly append: boolean;
    }
  | { readonly type: "close"; readonly handle: number }
  /** Offset null: to the end, by a handle opened with O_APPEND. Its content follows from its index: see filling.ts. */
  | { readonly type: "write"; readonly handle: number; readonly offset: number | null; readonly length: number }
  | { readonly type: "truncate"; readonly handle: number; readonly size: number }
  | { readonly type: "fsync"; readonly handle: number }
  | { readonly type: "mkdir"; readonly path: string; readonly mode: number }
  | { readonly type: "symlink"; readonly path: string; readonly target: string }
  | { readonly type: "link"; readonly from: string; readonly to: string }
  | { readonly type: "unlink" | "rmdir" | "fsyncdir"; readonly path: string }
  | { readonly type: "rename"; readonly from: string; readonly to: string }
  | { readonly type: "chmod"; readonly path: string; readonly mode: number }
  | { readonly type: "utimes"; readonly path: string; readonly seconds: number };

export type Result =
  | { readonly type: "done"; readonly count: number }
  | { readonly type: "refused"; readonly errno: string }
  /** It may have happened or not: only the last operation of a history. */
  | { readonly type: "unknown" };

export interface Operation {
  readonly index: number;
  readonly action: Action;
  readonly result: Result;
}

export interface History {
  readonly operations: readonly Operation[];
  /** The error that ended it, and when it came (milliseconds since 1970). */
  readonly died: { readonly errno: string; readonly at: number } | undefined;
  readonly killedAt: number | undefined;
}

interface Line {
  readonly index?: number;
  readonly action?: Action;
  readonly done?: number;
  readonly refused?: string;
  readonly died?: string;
  readonly at?: number;
  readonly killedAt?: number;
}

export function readHistory(text: string): History {
  const operations: Operation[] = [];
  let died: History["died"];
  let killedAt: number | undefined;
  for (const json of text.split("\n")) {
    if (json === "") continue;
    const line = JSON.parse(json) as Line;
    if (line.killedAt !== undefined) killedAt = line.killedAt;
    else if (line.action !== undefined) {
      operations.push({ index: operations.length, action: line.action, result: { type: "unknown" } });
    } else if (line.died !== undefined) died = { errno: line.died, at: line.at ?? 0 };
    else {
      const last = operations.pop();
      if (last === undefined || last.index !== line.index) throw new Error(`out of order: ${json}`);
      operations.push({ ...last, result: resultOf(line) });
    }
  }
  return { operations, died, killedAt };
}

function resultOf({ done = 0, refused }: Line): Result {
  return refused === undefined ? { type: "done", count: done } : { type: "refused", errno: refused };
}

/** Changes of names and attributes: those whose order is strict. */
export function isNamespaceChange({ type }: Action): boolean {
  switch (type) {
    case "create":
    case "mkdir":
    case "symlink":
    case "link":
    case "unlink":
    case "rmdir":
    case "rename":
    case "chmod":
    case "utimes":
      return true;
    case "open":
    case "close":
    case "write":
    case "truncate":
    case "fsync":
    case "fsyncdir":
      return false;
  }
}

export function describe({ index, action, result }: Operation): string {
  const { type, ...rest } = action;
  const words = Object.entries(rest).map(([key, value]) => `${key}=${String(value)}`);
  const outcome = result.type === "done" ? "" : result.type === "refused" ? ` ${result.errno}` : " (unknown)";
  return `${String(index)} ${type} ${words.join(" ")}${outcome}`;
}
