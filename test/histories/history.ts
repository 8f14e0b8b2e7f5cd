/**
 * What several processes did to shared objects, with the times of invocation and return on one clock. As JSON lines each
 * operation is two of them, so that what a killed process had begun is known:
 *
 *   { process, operation, invoked, action }     before the system call
 *   { process, operation, returned, result }    after it
 *
 * An operation without a result may have happened, at any time since its invocation, or not. Operations that overlap in
 * time may have happened in either order; equal times overlap.
 */

/** A file of which one fixed range is written and read whole. */
export type RegisterAction =
  | { readonly type: "write"; readonly file: string; readonly value: string }
  | { readonly type: "read"; readonly file: string };

/** A file to which records are appended, and which is read whole. */
export type LogAction =
  | { readonly type: "append"; readonly log: string; readonly record: string }
  | { readonly type: "readLog"; readonly log: string };

/** `link` gives a name to an inode that has another one outside of the directory, which nobody touches. */
export type NameAction =
  | { readonly type: "create"; readonly directory: string; readonly name: string }
  | { readonly type: "lookup"; readonly directory: string; readonly name: string }
  | { readonly type: "unlink"; readonly directory: string; readonly name: string }
  | { readonly type: "link"; readonly directory: string; readonly name: string; readonly inode: number }
  | { readonly type: "rename"; readonly directory: string; readonly from: string; readonly to: string };
export interface ListAction {
  readonly type: "list";
  readonly directory: string;
}
/** What one listing says of one name: see `listings.ts`. */
export interface ListedAction {
  readonly type: "listed";
  readonly directory: string;
  readonly name: string;
}

export type Action = RegisterAction | LogAction | NameAction | ListAction | ListedAction;

export type Result =
  | { readonly type: "done" }
  | { readonly type: "value"; readonly value: string }
  | { readonly type: "records"; readonly records: readonly string[] }
  | { readonly type: "inode"; readonly inode: number }
  | { readonly type: "names"; readonly names: readonly string[] }
  /** How often one name was in a listing. */
  | { readonly type: "times"; readonly times: number }
  /** An errno that says what the state was. */
  | { readonly type: "refused"; readonly errno: "ENOENT" | "EEXIST" }
  /** Any other errno: whether it happened is not known. */
  | { readonly type: "failed"; readonly errno: string };

export interface Operation<A extends Action = Action> {
  readonly process: number;
  /** Its number among the operations of its process. */
  readonly operation: number;
  readonly action: A;
  /** Undefined: not known. */
  readonly result: Result | undefined;
  /** Nanoseconds. */
  readonly invoked: number;
  /** Nanoseconds; Infinity if the result is not known. */
  readonly returned: number;
}

export interface Invocation {
  readonly process: number;
  readonly operation: number;
  readonly invoked: number;
  readonly action: Action;
}
export interface Return {
  readonly process: number;
  readonly operation: number;
  readonly returned: number;
  readonly result: Result;
}

/** Merges the lines of any number of processes. A last line that was cut off by a kill is left out. */
export function parseHistory(texts: readonly string[]): Operation[] {
  const operations = new Map<string, Operation>();
  for (const text of texts) {
    for (const line of text.slice(0, text.lastIndexOf("\n") + 1).split("\n")) {
      if (line === "") continue;
      const event = JSON.parse(line) as Invocation | Return;
      const id = `${String(event.process)}.${String(event.operation)}`;
      if ("action" in event) {
        operations.set(id, { ...event, result: undefined, returned: Infinity });
        continue;
      }
      const begun = operations.get(id);
      if (begun === undefined) throw new Error(`operation ${id} returned without having been invoked`);
      const { result, returned } = event;
      if (result.type !== "failed") operations.set(id, { ...begun, result, returned });
    }
  }
  return [...operations.values()];
}

/** The errnos of what failed, of one process, in order. */
export function failuresIn(text: string): string[] {
  return text.split("\n").flatMap((line) => {
    if (!line.includes('"type":"failed"')) return [];
    const { result } = JSON.parse(line) as Return;
    return result.type === "failed" ? [result.errno] : [];
  });
}
