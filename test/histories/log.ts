/**
 * A file opened with O_APPEND: it holds the records in the order in which they were appended, each once. Whatever was
 * read is a beginning of what was read later, so every state is a beginning of the longest text that anybody read, or
 * continues it. That keeps the search from trying all orders of appends that nobody saw apart.
 */
import type { LogAction, Operation } from "./history.ts";
import type { Model } from "./linearizability.ts";

export function logModel(history: readonly Operation<LogAction>[]): Model<string, LogAction> {
  const longest = history.reduce((text, { result }) => {
    const read = result?.type === "records" ? textOf(result.records) : "";
    return read.length > text.length ? read : text;
  }, "");
  return {
    initial: "",
    // Shorter states are beginnings of the longest text: their length says which.
    key: (text) => (text.length <= longest.length ? String(text.length) : text),
    apply(text, { action, result }) {
      if (action.type === "readLog") {
        return result?.type === "records" && textOf(result.records) !== text ? undefined : text;
      }
      const after = text + textOf([action.record]);
      return after.startsWith(longest) || longest.startsWith(after) ? after : undefined;
    },
    isRead: ({ action }) => action.type === "readLog",
    describe: (text) => `it held ${text === "" ? "nothing" : text.trimEnd().split("\n").join(" ")}`,
  };
}

function textOf(records: readonly string[]): string {
  return records.map((record) => `${record}\n`).join("");
}

/** See `withoutRegisterOperation`. An append goes with its record in all that was read. */
export function withoutLogOperation(
  history: readonly Operation<LogAction>[],
  left: Operation<LogAction>,
): readonly Operation<LogAction>[] {
  const rest = history.filter((operation) => operation !== left);
  const { action } = left;
  if (action.type === "readLog") return rest;
  return rest.map((operation) => {
    if (operation.result?.type !== "records" || !operation.result.records.includes(action.record)) return operation;
    const records = operation.result.records.filter((record) => record !== action.record);
    return { ...operation, result: { type: "records", records } };
  });
}
