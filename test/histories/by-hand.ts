/** Histories written by hand: one line per operation, `during(process, invoked, returned, operation)`. */
import type { Action, Operation, Result } from "./history.ts";

type Done = readonly [Action, Result | undefined];
let operations = 0;

export function during(process: number, invoked: number, returned: number, [action, result]: Done): Operation {
  return { process, operation: operations++, action, result, invoked, returned };
}

/** Begun, and never heard of again. */
export function begun(process: number, invoked: number, [action]: Done): Operation {
  return { process, operation: operations++, action, result: undefined, invoked, returned: Infinity };
}

type Errno = "ENOENT" | "EEXIST";
const done: Result = { type: "done" };
const directory = "names";

function inodeOr(result: number | Errno): Result {
  return typeof result === "number" ? { type: "inode", inode: result } : { type: "refused", errno: result };
}
function doneOr(errno: Errno | undefined): Result {
  return errno === undefined ? done : { type: "refused", errno };
}

export function write(value: string): Done {
  return [{ type: "write", file: "register", value }, done];
}
export function read(value: string): Done {
  return [
    { type: "read", file: "register" },
    { type: "value", value },
  ];
}
export function append(record: string): Done {
  return [{ type: "append", log: "log", record }, done];
}
/** The records, with spaces between them. */
export function readLog(text: string): Done {
  return [
    { type: "readLog", log: "log" },
    { type: "records", records: text.split(" ").filter((record) => record !== "") },
  ];
}
export function create(name: string, result: number | Errno): Done {
  return [{ type: "create", directory, name }, inodeOr(result)];
}
export function lookup(name: string, result: number | Errno): Done {
  return [{ type: "lookup", directory, name }, inodeOr(result)];
}
export function unlink(name: string, errno?: Errno): Done {
  return [{ type: "unlink", directory, name }, doneOr(errno)];
}
export function link(inode: number, name: string, errno?: Errno): Done {
  return [{ type: "link", directory, inode, name }, doneOr(errno)];
}
export function rename(from: string, to: string, errno?: Errno): Done {
  return [{ type: "rename", directory, from, to }, doneOr(errno)];
}
export function list(names: string): Done {
  return [
    { type: "list", directory },
    { type: "names", names: names.split(" ").filter((name) => name !== "") },
  ];
}
