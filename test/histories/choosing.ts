/**
 * Which operation a client does next. All clients meet at a few objects, so that most operations overlap with others on
 * the same one.
 *
 * Which names are renamed to which follows from what the kernel decides without asking (see names.ts): no two clients
 * ever move one file to the same name. Each client has a name that only it renames others to (from any name), and one at
 * which only it makes files, to rename them over names that all share.
 */
import type { Random } from "../../src/base/random.ts";
import type { Action, Result } from "./history.ts";
import { directories, registers } from "./shared-folder.ts";

export type Kind = "register" | "log" | "names";

const secondsPerLog = 1;
const sharedNames = ["a", "b", "c"];
const replacedNames = ["x", "y"];

export class Choosing {
  private readonly random: Random;
  private readonly process: number;
  private readonly linked: readonly number[];
  private counter = 0;
  /** What the last listing showed: names of other clients too. */
  private readonly listed = new Map<string, readonly string[]>();

  constructor(random: Random, options: { process: number; linked: readonly number[] }) {
    this.random = random;
    this.process = options.process;
    this.linked = options.linked;
  }

  /** `seconds` since the beginning: each log is used for a while only, so that it stays short. */
  next(kind: Kind, seconds: number): Action {
    switch (kind) {
      case "register": {
        const file = this.one(registers.map((place) => place.file));
        return this.random.below(2) === 0 ? { type: "write", file, value: this.unique() } : { type: "read", file };
      }
      case "log": {
        const log = `log-${String(Math.floor(seconds / secondsPerLog))}`;
        return this.random.below(2) === 0 ? { type: "append", log, record: this.unique() } : { type: "readLog", log };
      }
      case "names":
        return this.onNames(this.one(directories));
    }
  }

  learn(action: Action, result: Result): void {
    if (action.type !== "list" || result.type !== "names") return;
    this.listed.set(
      action.directory,
      result.names.filter((name) => !name.startsWith("only-")),
    );
  }

  private onNames(directory: string): Action {
    const own = `only-${String(this.process)}`;
    const target = `to-${String(this.process)}`;
    const anyName = (): string =>
      this.one([...sharedNames, ...replacedNames, target, ...(this.listed.get(directory) ?? [])]);
    switch (this.random.below(10)) {
      case 0:
      case 1:
        return { type: "create", directory, name: this.one([...sharedNames, ...replacedNames]) };
      case 2:
        return { type: "create", directory, name: own };
      case 3:
        return { type: "rename", directory, from: own, to: this.one(replacedNames) };
      case 4:
        return { type: "rename", directory, from: anyName(), to: target };
      case 5:
        return { type: "unlink", directory, name: anyName() };
      case 6:
        return { type: "link", directory, name: this.one(sharedNames), inode: this.oneInode() };
      case 7:
        return { type: "list", directory };
      default:
        return { type: "lookup", directory, name: anyName() };
    }
  }

  private one(choices: readonly string[]): string {
    return choices[this.random.below(choices.length)] ?? "";
  }
  private oneInode(): number {
    return this.linked[this.random.below(this.linked.length)] ?? 0;
  }
  private unique(): string {
    return `${String(this.process)}.${String(this.counter++)}`;
  }
}
