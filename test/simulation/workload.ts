/** Processes on the clients: each does one random thing after the other, and what it did and saw is recorded. */
import { errnoOf } from "../../src/base/errno.ts";
import { seededRandom, type Random } from "../../src/base/random.ts";
import { Choosing, type Kind } from "../histories/choosing.ts";
import type { Action, Result } from "../histories/history.ts";
import { directories, registers } from "../histories/shared-folder.ts";
import { Acting, type SyncAction } from "./acting.ts";
import { PathClient } from "../vfs/path-client.ts";
import { LockWitness } from "./locks.ts";
import { OwnFolder } from "./own-folder.ts";
import type { Life } from "./record.ts";
import type { MountedClient, World } from "./world.ts";

export interface WorkloadOptions {
  readonly processesPerClient: number;
  readonly operations: number;
  /** At most so long between two operations of a process. */
  readonly pauseMillis: number;
}

interface Doing {
  readonly client: MountedClient;
  readonly process: number;
  what: string;
  isDone: boolean;
}

interface OwnWork {
  readonly folder: OwnFolder;
  readonly life: Life;
  /** Its client lost something in the middle of its last operation, which was done all the same: perhaps without those before it. */
  wasInterrupted: boolean;
}

export class Workload {
  readonly #world: World;
  readonly #random: Random;
  readonly #options: WorkloadOptions;
  readonly #doing: Doing[] = [];
  readonly #own: OwnWork[] = [];
  readonly locks = new LockWitness();
  #processes = 0;

  constructor(world: World, options: WorkloadOptions) {
    this.#world = world;
    this.#random = seededRandom(world.random.below(2 ** 32));
    this.#options = options;
  }

  /** Starts the processes of a client that has just been mounted. */
  begin(client: MountedClient): void {
    for (let i = 0; i < this.#options.processesPerClient; i++) {
      this.#start(client, (process, doing) => this.#work(client, process, doing));
    }
    this.#start(client, (process, doing) => this.#workAlone(client, process, doing));
  }

  /** What has been begun on clients that are alive, and has not ended. */
  get unfinished(): string[] {
    return this.#doing
      .filter(({ isDone, client }) => !isDone && client.machine.isAlive)
      .map(({ client, process, what }) => `${client.life.name}, process ${String(process)}: ${what}`);
  }

  /** Everything is synced; then everything is looked at, on this client. */
  lookAtAll(client: MountedClient): void {
    this.#start(client, async (process, doing) => {
      const acting = new Acting(client.operations, this.#random);
      const act = async (action: Action | SyncAction): Promise<Result> => {
        const result = await this.#act(client, acting, { process, doing, action });
        if (result.type === "failed" && action.type !== "sync")
          this.#world.problems.push(`${client.life.name} at the end: ${doing.what}: ${result.errno}`);
        return result;
      };
      // It may tell of what was lost before.
      await act({ type: "sync" });
      for (const { file } of registers) await act({ type: "read", file });
      const logs = new Set<string>();
      for (const { action } of this.#world.recording.entries) if ("log" in action) logs.add(action.log);
      for (const log of logs) await act({ type: "readLog", log });
      for (const directory of directories) {
        const result = await act({ type: "list", directory });
        if (result.type !== "names") continue;
        for (const name of result.names) await act({ type: "lookup", directory, name });
      }
      await acting.closeAll();
      for (const { folder, life, wasInterrupted } of this.#own) {
        doing.what = `checking ${folder.base}`;
        const problem = await folder.check(acting.client, life.losses.length > 0);
        if (problem !== undefined && !wasInterrupted)
          this.#world.problems.push(`${client.life.name} at the end: ${problem}`);
      }
    });
  }

  #start(client: MountedClient, run: (process: number, doing: Doing) => Promise<void>): void {
    const process = this.#processes++;
    const doing: Doing = { client, process, what: "nothing yet", isDone: false };
    this.#doing.push(doing);
    run(process, doing).then(
      () => {
        doing.isDone = true;
      },
      (error: unknown) => {
        doing.isDone = true;
        this.#world.problems.push(
          `process ${String(process)} on ${client.life.name}: ${String((error as Error).stack)}`,
        );
      },
    );
  }

  async #work(client: MountedClient, process: number, doing: Doing): Promise<void> {
    const { clock } = client.machine;
    const random = seededRandom(this.#random.below(2 ** 32));
    const acting = new Acting(client.operations, random);
    const linked = await acting.linkedInodes().catch((error: unknown) => {
      if (errnoOf(error) !== "EIO") throw error;
      // The session was lost meanwhile: this process ends.
      client.life.losses.push(this.#world.events.steps);
      return undefined;
    });
    if (linked === undefined) return;
    const choosing = new Choosing(random, { process, linked });
    const kinds: readonly Kind[] = ["register", "log", "names"];
    for (let i = 0; i < this.#options.operations; i++) {
      await new Promise<void>((resolve) => void clock.after(random.below(this.#options.pauseMillis), resolve));
      if (random.below(25) === 0) await this.#lock(client, acting, { process, doing, random });
      const action = this.#next(random, () =>
        choosing.next(kinds[random.below(kinds.length)] ?? "names", this.#world.events.now / 5_000),
      );
      const result = await this.#act(client, acting, { process, doing, action });
      if (action.type !== "sync" && action.type !== "fsync") choosing.learn(action, result);
    }
    doing.what = "closing";
    if (!(await acting.closeAll())) client.life.losses.push(this.#world.events.steps);
  }

  /** Until the client loses something: what must be from then on is only seen at the end. */
  async #workAlone(client: MountedClient, process: number, doing: Doing): Promise<void> {
    const { events, problems } = this.#world;
    const { clock } = client.machine;
    const { life } = client;
    const random = seededRandom(this.#random.below(2 ** 32));
    const own = new OwnFolder(`/own-${String(process)}`, random);
    const work: OwnWork = { folder: own, life, wasInterrupted: false };
    this.#own.push(work);
    const paths = new PathClient(client.operations, random);
    for (let i = 0; i < this.#options.operations; i++) {
      await new Promise<void>((resolve) => void clock.after(random.below(this.#options.pauseMillis), resolve));
      if (life.losses.length > 0) return;
      const { what, expected, run } = own.next();
      doing.what = `${own.base}: ${what}`;
      const wanted = expected();
      const got = await run(paths).catch((error: unknown) => errnoOf(error));
      events.note(`${life.name}.${String(process)} ${doing.what}`);
      const isExpected = JSON.stringify(got) === JSON.stringify(wanted);
      if (life.losses.length > 0) {
        work.wasInterrupted = isExpected;
        return;
      }
      if (isExpected) continue;
      if (got === "EIO" || got === "ENOSPC") life.losses.push(events.steps);
      else problems.push(`${doing.what}: ${short(got)} instead of ${short(wanted)}`);
      return;
    }
  }

  async #lock(
    client: MountedClient,
    acting: Acting,
    { process, doing, random }: { process: number; doing: Doing; random: Random },
  ): Promise<void> {
    const { events } = this.#world;
    doing.what = "lock";
    const use = async (): Promise<void> => {
      const released = this.locks.taken(client.life, process, events.steps);
      await new Promise<void>((resolve) => void client.machine.clock.after(random.below(300), resolve));
      released(events.steps);
    };
    await acting.underLock(BigInt(process) + 1_000n, use).catch((error: unknown) => {
      // The lock went with the session.
      client.life.losses.push(events.steps);
      events.note(`${client.life.name}.${String(process)} lock: ${errnoOf(error)}`);
    });
  }

  #next(random: Random, choose: () => Action): Action | SyncAction {
    switch (random.below(12)) {
      case 0:
        return { type: "sync" };
      case 1:
        return { type: "fsync", file: registers[random.below(registers.length)]?.file ?? "" };
      default:
        return choose();
    }
  }

  async #act(
    client: MountedClient,
    acting: Acting,
    { process, doing, action }: { process: number; doing: Doing; action: Action | SyncAction },
  ): Promise<Result> {
    const { events, recording } = this.#world;
    doing.what = JSON.stringify(action);
    const entry = recording.begin(client.life, process, action, events.steps);
    const result = await acting.act(action);
    // Whatever this moment is, nothing else has happened in it.
    recording.end(entry, result, events.steps);
    events.note(`${client.life.name}.${String(process)} ${doing.what}: ${JSON.stringify(result)}`);
    return result;
  }
}

function short(value: unknown): string {
  const text = value === undefined ? "nothing" : JSON.stringify(value);
  return text.length > 300 ? `${text.slice(0, 300)}... (${String(text.length)})` : text;
}
