/**
 * A process that does random operations in a folder, one after the other by blocking system calls, and writes down what
 * it did (see history.ts). It serves one Task after the other, each a line of JSON on standard input, and says "done"
 * on standard output when the operations are done or the first one has failed as it need not.
 */
import {
  chmodSync,
  closeSync,
  fsyncSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeSync,
  constants,
} from "node:fs";
import { join } from "node:path";
import { seededRandom } from "../../../src/base/random.ts";
import { Choosing } from "./choosing.ts";
import { filling } from "./filling.ts";
import type { Action } from "./history.ts";

export interface Task {
  readonly folder: string;
  readonly seed: number;
  /** Where the history goes: outside of the mount. */
  readonly record: string;
  readonly operations: number;
  /** So many operations done, it kills these processes before it goes on. */
  readonly kill: { readonly after: number; readonly pids: readonly number[] } | undefined;
}

process.umask(0);
const input = Buffer.alloc(65_536);
let rest = "";
for (;;) {
  const end = rest.indexOf("\n");
  if (end < 0) {
    const count = readSync(0, input);
    if (count === 0) break;
    rest += input.toString("utf8", 0, count);
    continue;
  }
  act(JSON.parse(rest.slice(0, end)) as Task);
  rest = rest.slice(end + 1);
  writeSync(1, "done\n");
}

function act(task: Task): void {
  const random = seededRandom(task.seed);
  const choosing = new Choosing(random);
  const descriptors = new Map<number, number>();
  const record = openSync(task.record, "w");
  const say = (line: object): void => {
    writeSync(record, `${JSON.stringify(line)}\n`);
  };
  for (let index = 0; index < task.operations; index++) {
    if (task.kill?.after === index) {
      say({ killedAt: Date.now() });
      for (const pid of task.kill.pids) killed(pid);
    }
    // Now and then the log gets time to become empty.
    if (random.below(60) === 0) sleep(random.below(20));
    const action = choosing.next();
    say({ index, action });
    try {
      const count = perform(task, { index, action, descriptors });
      say({ index, done: count });
      choosing.done(action, count);
    } catch (error) {
      const errno = (error as NodeJS.ErrnoException).code ?? String(error);
      if (errno !== choosing.names.refusal(action)) {
        say({ index, died: errno, at: Date.now() });
        break;
      }
      say({ index, refused: errno });
    }
    choosing.advance();
  }
  for (const fd of descriptors.values()) closeAnyway(fd);
  closeSync(record);
}

function perform(
  { folder, seed }: Task,
  { index, action, descriptors }: { index: number; action: Action; descriptors: Map<number, number> },
): number {
  const at = (path: string): string => join(folder, path);
  const fd = (handle: number): number => descriptors.get(handle) ?? -1;
  switch (action.type) {
    case "create": {
      const { O_CREAT, O_EXCL, O_RDWR } = constants;
      descriptors.set(action.handle, openSync(at(action.path), O_CREAT | O_EXCL | O_RDWR, action.mode));
      return 0;
    }
    case "open": {
      const { O_RDWR, O_TRUNC, O_APPEND } = constants;
      const flags = O_RDWR | (action.cut ? O_TRUNC : 0) | (action.append ? O_APPEND : 0);
      descriptors.set(action.handle, openSync(at(action.path), flags));
      return 0;
    }
    case "close": {
      const closing = fd(action.handle);
      descriptors.delete(action.handle);
      closeSync(closing);
      return 0;
    }
    case "write":
      return writeSync(
        fd(action.handle),
        filling(seed, index, action.length),
        0,
        action.length,
        action.offset ?? undefined,
      );
    case "truncate":
      ftruncateSync(fd(action.handle), action.size);
      return 0;
    case "fsync":
      fsyncSync(fd(action.handle));
      return 0;
    case "fsyncdir": {
      const directory = openSync(at(action.path), constants.O_RDONLY | constants.O_DIRECTORY);
      try {
        fsyncSync(directory);
      } finally {
        closeSync(directory);
      }
      return 0;
    }
    case "mkdir":
      mkdirSync(at(action.path), action.mode);
      return 0;
    case "symlink":
      symlinkSync(action.target, at(action.path));
      return 0;
    case "link":
      linkSync(at(action.from), at(action.to));
      return 0;
    case "unlink":
      unlinkSync(at(action.path));
      return 0;
    case "rmdir":
      rmdirSync(at(action.path));
      return 0;
    case "rename":
      renameSync(at(action.from), at(action.to));
      return 0;
    case "chmod":
      chmodSync(at(action.path), action.mode);
      return 0;
    case "utimes":
      utimesSync(at(action.path), action.seconds, action.seconds);
      return 0;
  }
}

function killed(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** The client behind it is dead, or the operations are done and an error would have been told by them. */
function closeAnyway(fd: number): void {
  try {
    closeSync(fd);
  } catch {
    // It is closed all the same.
  }
}

function sleep(millis: number): void {
  if (millis > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, millis);
}
