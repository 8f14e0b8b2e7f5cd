/** A file of which one range is written and read whole by single calls: it holds what was written last. */
import { unreachable } from "../../src/base/assert.ts";
import type { Operation, RegisterAction } from "./history.ts";
import type { Model } from "./linearizability.ts";

/** What the file holds before the first write. */
export const initialValue = "initial";

export function registerModel(): Model<string, RegisterAction> {
  return {
    initial: initialValue,
    key: (value) => value,
    apply(value, { action, result }) {
      if (action.type === "write") return result === undefined || result.type === "done" ? action.value : undefined;
      return result?.type === "value" && result.value !== value ? undefined : value;
    },
    isRead: ({ action }) => action.type === "read",
    describe: (value) => `it held ${value}`,
  };
}

/** The history without one operation, if it is still linearizable without it, provided that it was with it. */
export function withoutRegisterOperation(
  history: readonly Operation<RegisterAction>[],
  left: Operation<RegisterAction>,
): readonly Operation<RegisterAction>[] | undefined {
  const rest = history.filter((operation) => operation !== left);
  const { action } = left;
  switch (action.type) {
    case "read":
      return rest;
    case "write":
      // Between it and the next write there was no read.
      return rest.some(({ result }) => result?.type === "value" && result.value === action.value) ? undefined : rest;
    default:
      return unreachable(action);
  }
}
