/**
 * Makes a right history wrong by changing the result of one read to one that is certainly older, or certainly not yet
 * there: certain by the times of invocation and return alone.
 */
import type { Random } from "../../src/base/random.ts";
import type { Action, Operation, Result } from "./history.ts";

type Spoiler = (read: Operation, history: readonly Operation[]) => Result[];

/** Undefined if no read of it can be made wrong with certainty. `kind`: which read. */
export function spoil(
  random: Random,
  kind: "read" | "readLog" | "lookup",
  history: readonly Operation[],
): Operation[] | undefined {
  const choices = history.flatMap((read, index) =>
    read.action.type === kind && read.result !== undefined
      ? spoilers[kind](read, history).map((result) => ({ index, result }))
      : [],
  );
  const choice = choices[random.below(choices.length)];
  if (choice === undefined) return undefined;
  return history.map((operation, i) => (i === choice.index ? { ...operation, result: choice.result } : operation));
}

const spoilers: Record<"read" | "readLog" | "lookup", Spoiler> = {
  /** A value that another one had replaced for certain before the read began. */
  read(read, history) {
    const writes = of("write", history).filter(({ action }) => action.file === fileOf(read));
    return writes
      .filter((old) => writes.some((newer) => old.returned < newer.invoked && newer.returned < read.invoked))
      .map(({ action }) => ({ type: "value", value: action.value }));
  },
  /** The log before an append that had returned when the read began. */
  readLog(read, history) {
    const records = read.result?.type === "records" ? read.result.records : [];
    return of("append", history)
      .filter(({ action, returned }) => returned < read.invoked && records.includes(action.record))
      .map(({ action }) => ({ type: "records", records: records.slice(0, records.indexOf(action.record)) }));
  },
  /** A file that nobody renames to this name and that another one created there has followed, or one to be created. */
  lookup(read, history) {
    const name = read.action.type === "lookup" ? read.action.name : "";
    const creates = of("create", history).filter(({ result }) => result?.type === "inode");
    const here = creates.filter(({ action }) => action.name === name);
    const isTarget = of("rename", history).some(({ action }) => action.to === name);
    // Which inode a create made whose result is not known: for the checker of one name it may be any.
    const isUnknown = of("create", history).some(
      ({ action, result, invoked }) =>
        result === undefined && invoked < read.returned && (isTarget || action.name === name),
    );
    if (isUnknown) return [];
    const gone = here.filter((old) =>
      here.some((newer) => old.returned < newer.invoked && newer.returned < read.invoked),
    );
    const later = creates.filter(({ invoked }) => invoked > read.returned);
    return [...(isTarget ? [] : gone), ...later].flatMap(({ result }) => (result === undefined ? [] : [result]));
  },
};

function of<T extends Action["type"]>(
  type: T,
  history: readonly Operation[],
): Operation<Extract<Action, { readonly type: T }>>[] {
  return history.filter(
    (operation): operation is Operation<Extract<Action, { readonly type: T }>> => operation.action.type === type,
  );
}

function fileOf({ action }: Operation): string {
  return action.type === "read" ? action.file : "";
}
