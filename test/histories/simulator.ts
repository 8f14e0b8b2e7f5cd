/**
 * Histories that are right, from a seed: each operation takes effect on plain variables at one moment between invocation
 * and return, and moments of different processes come in any order. Some operations never return. It knows nothing of
 * the models that check it.
 */
import type { Random } from "../../src/base/random.ts";
import type { Action, Operation, Result } from "./history.ts";

interface Running {
  readonly process: number;
  readonly operation: number;
  readonly action: Action;
  readonly invoked: number;
  /** What is left to do; empty when it may return. A listing looks at one name at a time. */
  readonly steps: (() => void)[];
  result: Result;
}

export interface Simulation {
  readonly processes: number;
  readonly operations: number;
  /** One of so many never returns; 0: all return. */
  readonly oneLostOf: number;
}

export function simulate(random: Random, { processes, operations, oneLostOf }: Simulation): Operation[] {
  const objects = new Objects(random);
  const history: Operation[] = [];
  const running: (Running | undefined)[] = Array.from({ length: processes }, () => undefined);
  /** A process whose operation was lost goes on under another number. */
  const numbers = running.map((_, i) => i);
  const lost: Running[] = [];
  let time = 0;
  let begun = 0;
  while (history.length < operations) {
    time += 1;
    const slot = random.below(processes);
    const current = running[slot];
    if (lost.length > 0 && random.below(20) === 0) lost.pop()?.steps.shift()?.();
    if (current === undefined) {
      const process = numbers[slot] ?? slot;
      running[slot] = objects.begin({ process, operation: begun++, invoked: time });
    } else if (oneLostOf > 0 && random.below(oneLostOf) === 0) {
      history.push({ ...recorded(current), result: undefined, returned: Infinity });
      if (random.below(2) === 0) lost.push(current);
      numbers[slot] = (numbers[slot] ?? 0) + processes;
      running[slot] = undefined;
    } else if (current.steps.length > 0) current.steps.shift()?.();
    else {
      history.push({ ...recorded(current), result: current.result, returned: time });
      running[slot] = undefined;
    }
  }
  // What has taken effect and has not returned is seen by others.
  for (const left of running) {
    if (left !== undefined) history.push({ ...recorded(left), result: undefined, returned: Infinity });
  }
  return history;
}

function recorded({ process, operation, action, invoked }: Running): Omit<Operation, "result" | "returned"> {
  return { process, operation, action, invoked };
}

const names = ["a", "b", "c", "d"];
const targets = ["b", "c"];

class Objects {
  private readonly random: Random;
  private readonly registers = new Map<string, string>();
  private readonly logs = new Map<string, string[]>();
  private readonly directory = new Map<string, number>();
  private nextInode = 100;

  constructor(random: Random) {
    this.random = random;
  }

  begin(what: { process: number; operation: number; invoked: number }): Running {
    const { action, act } = this.choose(`v${String(what.operation)}`);
    const running: Running = { ...what, action, steps: [], result: { type: "done" } };
    if (action.type === "list") {
      const found: string[] = [];
      running.result = { type: "names", names: found };
      for (const name of names) {
        running.steps.push(() => {
          if (this.directory.has(name)) found.push(name);
        });
      }
    } else running.steps.push(() => (running.result = act()));
    return running;
  }

  private choose(unique: string): { action: Action; act: () => Result } {
    const file = this.one(["register 1", "register 2"]);
    const log = "log";
    const directory = "names";
    const name = this.one(names);
    switch (this.random.below(11)) {
      case 0:
        return { action: { type: "write", file, value: unique }, act: () => this.write(file, unique) };
      case 1:
      case 2: {
        const act = (): Result => ({ type: "value", value: this.registers.get(file) ?? "initial" });
        return { action: { type: "read", file }, act };
      }
      case 3:
        return { action: { type: "append", log, record: unique }, act: () => this.append(log, unique) };
      case 4: {
        const act = (): Result => ({ type: "records", records: [...(this.logs.get(log) ?? [])] });
        return { action: { type: "readLog", log }, act };
      }
      case 5:
        return { action: { type: "create", directory, name }, act: () => this.create(name) };
      case 6:
        return { action: { type: "unlink", directory, name }, act: () => this.unlink(name) };
      case 7: {
        const inode = 1 + this.random.below(2);
        return { action: { type: "link", directory, name, inode }, act: () => this.link(name, inode) };
      }
      case 8: {
        const to = this.one(targets);
        return { action: { type: "rename", directory, from: name, to }, act: () => this.rename(name, to) };
      }
      case 9:
        return { action: { type: "list", directory }, act: () => ({ type: "done" }) };
      default:
        return { action: { type: "lookup", directory, name }, act: () => this.lookup(name) };
    }
  }

  private one(choices: readonly string[]): string {
    return choices[this.random.below(choices.length)] ?? "";
  }
  private write(file: string, value: string): Result {
    this.registers.set(file, value);
    return { type: "done" };
  }
  private append(log: string, record: string): Result {
    this.logs.set(log, [...(this.logs.get(log) ?? []), record]);
    return { type: "done" };
  }
  private create(name: string): Result {
    if (this.directory.has(name)) return { type: "refused", errno: "EEXIST" };
    this.directory.set(name, this.nextInode);
    return { type: "inode", inode: this.nextInode++ };
  }
  private link(name: string, inode: number): Result {
    if (this.directory.has(name)) return { type: "refused", errno: "EEXIST" };
    this.directory.set(name, inode);
    return { type: "done" };
  }
  private unlink(name: string): Result {
    return this.directory.delete(name) ? { type: "done" } : { type: "refused", errno: "ENOENT" };
  }
  private lookup(name: string): Result {
    const inode = this.directory.get(name);
    return inode === undefined ? { type: "refused", errno: "ENOENT" } : { type: "inode", inode };
  }
  private rename(from: string, to: string): Result {
    const inode = this.directory.get(from);
    if (inode === undefined) return { type: "refused", errno: "ENOENT" };
    if (this.directory.get(to) !== inode) {
      this.directory.delete(from);
      this.directory.set(to, inode);
    }
    return { type: "done" };
  }
}
