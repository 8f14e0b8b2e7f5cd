/**
 * A client that keeps what its leases let it keep, and whose every belief can be compared with what the name server
 * has: names in the root directory, and the mode and the time of files. It changes a file's time by itself while it has
 * the file alone, and answers recalls late, in two steps.
 */
import { strict as assert } from "node:assert";
import type { Attributes } from "../../src/base/attributes.ts";
import type { Ino } from "../../src/base/ids.ts";
import type { Name } from "../../src/base/name.ts";
import type { Random } from "../../src/base/random.ts";
import { keys } from "../../src/metadata-store/keys.ts";
import { decodeEntry, decodeInode } from "../../src/metadata-store/records.ts";
import type { LeaseGrant, LeaseLevel, LeaseRecall } from "../../src/protocol/leases.ts";
import { rootIno, type TestClient, type TestCluster } from "./support.ts";

interface Belief {
  level: LeaseLevel;
  number: number;
  /** How many recalls had arrived with the last one of this inode. */
  recalledAt: number;
  shown: { mode: number; mtime: bigint } | undefined;
  isDirty: boolean;
}

type Told = Pick<Attributes, "ino" | "mode" | "mtime">;
type Reply = Readonly<{
  attributes?: Told | null | undefined;
  directories?: readonly Told[] | undefined;
  leases?: readonly LeaseGrant[] | undefined;
}>;

/** Every time that each file had, in order, from when it was first changed by a client alone. */
export class History {
  readonly #times = new Map<Ino, bigint[]>();

  /** How much there is of each file. */
  now(): Map<Ino, number> {
    return new Map([...this.#times].map(([ino, times]) => [ino, times.length]));
  }

  changed(ino: Ino, before: bigint, after: bigint): void {
    const times = this.#times.get(ino);
    if (times === undefined) this.#times.set(ino, [before, after]);
    else times.push(after);
  }

  /** What was asked at `since` may tell of any state from then on, of none before. */
  check({ ino, mtime }: Told, since: ReadonlyMap<Ino, number>): void {
    const times = this.#times.get(ino);
    const first = since.get(ino);
    if (times === undefined || first === undefined) return;
    assert(times.includes(mtime, first - 1), `inode ${String(ino)} was told without a change that had been made`);
  }
}

export class ModelClient {
  readonly client: TestClient;
  readonly beliefs = new Map<Ino, Belief>();
  /** Names of the root directory, present or absent, as long as its lease is held. */
  readonly names = new Map<Name, Ino | null>();
  /** What an answer told wrongly. */
  problem: unknown;
  readonly #random: Random;
  readonly #history: History;
  /** What is under way, with what it may change. */
  readonly #changing = new Map<Promise<void>, { ino?: Ino | undefined; names?: readonly Name[] | undefined }>();
  readonly #asking = new Set<Promise<void>>();
  readonly #open: { recall: LeaseRecall; flushed: boolean }[] = [];
  /** Files whose flush is not answered yet. */
  readonly #flushing = new Set<Ino>();
  #recallsArrived = 0;
  #slot = 0;

  constructor(client: TestClient, random: Random, history: History) {
    this.client = client;
    this.#history = history;
    this.#random = random;
    client.onRecall = (recall) => {
      this.belief(recall.ino).recalledAt = ++this.#recallsArrived;
      this.#open.push({ recall, flushed: false });
    };
  }

  belief(ino: Ino): Belief {
    let found = this.beliefs.get(ino);
    if (found === undefined) {
      found = { level: "none", number: 0, recalledAt: 0, shown: undefined, isDirty: false };
      this.beliefs.set(ino, found);
      // Whatever it knows it may have open.
      this.client.inUse.add(ino);
    }
    return found;
  }

  get isIdle(): boolean {
    return !this.isAsking && this.#open.length === 0;
  }

  get isAsking(): boolean {
    return this.#asking.size + this.#changing.size > 0;
  }

  /** Its connection breaks, and it resumes; after a restart of the server it says what it has. */
  async reconnect(): Promise<void> {
    if (this.client.peer.isOpen) await this.client.disconnect();
    this.client.held = [...this.beliefs].flatMap(([ino, { level }]) => (level === "none" ? [] : [{ ino, level }]));
    await this.client.connect();
    const { resumed, leasesKept } = await this.client.open(this.client.session);
    assert(resumed);
    if (leasesKept) return;
    const grants = new Map((await this.client.reclaim()).map((grant) => [grant.ino, grant]));
    for (const [ino, belief] of this.beliefs) {
      const grant = grants.get(ino);
      assert.equal(grant?.level ?? "none", belief.level, `inode ${String(ino)} was lost by a restart`);
      if (grant !== undefined) belief.number = grant.number;
    }
  }

  /** A request that reads; `name`: what it tells the inode of. */
  ask(send: () => Promise<Reply>, name?: Name): void {
    const before = this.#recallsArrived;
    const since = this.#history.now();
    // What it has not told itself nobody else can tell it.
    for (const [ino, { isDirty }] of this.beliefs) if (isDirty) since.delete(ino);
    this.#own(this.#asking, send(), (reply) => {
      try {
        if (reply.attributes && !this.#changes({ ino: reply.attributes.ino }))
          this.#history.check(reply.attributes, since);
      } catch (error) {
        this.problem ??= error;
      }
      this.#believe(reply, before);
      // What comes without a lease is used once, also by who has one from before.
      if (name === undefined || reply.leases?.some(({ ino }) => ino === rootIno) !== true) return;
      if (this.belief(rootIno).recalledAt > before || this.#changes({ names: [name] })) return;
      this.names.set(name, reply.attributes?.ino ?? null);
    });
  }

  /** A request that changes: what it touches is forgotten when it leaves and when it is answered. */
  change(what: { ino?: Ino | undefined; names?: readonly Name[] }, send: (slot: number) => Promise<Reply>): void {
    const before = this.#recallsArrived;
    const slot = this.#slot++ % 64;
    const forget = (): void => {
      for (const name of what.names ?? []) this.names.delete(name);
      if (what.ino !== undefined) this.belief(what.ino).shown = undefined;
    };
    forget();
    const promise: Promise<void> = send(slot).then(
      (reply) => {
        this.#changing.delete(promise);
        forget();
        this.#believe(reply, before);
      },
      () => {
        this.#changing.delete(promise);
        forget();
      },
    );
    this.#changing.set(promise, what);
  }

  #own(set: Set<Promise<void>>, call: Promise<Reply>, then: (reply: Reply) => void): void {
    const promise: Promise<void> = call.then(
      (reply) => {
        set.delete(promise);
        then(reply);
      },
      () => void set.delete(promise),
    );
    set.add(promise);
  }

  #changes({ ino, names = [] }: { ino?: Ino; names?: readonly Name[] }): boolean {
    return [...this.#changing.values()].some(
      (one) => (ino !== undefined && one.ino === ino) || names.some((name) => one.names?.includes(name) === true),
    );
  }

  #believe({ attributes, leases }: Reply, before: number): void {
    for (const grant of leases ?? []) {
      const belief = this.belief(grant.ino);
      // Replies overtake each other.
      if (belief.recalledAt > before || grant.number < belief.number) continue;
      [belief.level, belief.number] = [grant.level, grant.number];
    }
    if (attributes === undefined || attributes === null) return;
    const belief = this.belief(attributes.ino);
    if (belief.level === "none" || belief.recalledAt > before || belief.isDirty) return;
    if (this.#changes({ ino: attributes.ino })) return;
    // An answer that was made before one of its own changes is not kept: it has an older time.
    if (belief.shown !== undefined) return;
    if (leases?.some(({ ino }) => ino === attributes.ino) !== true) return;
    belief.shown = { mode: attributes.mode, mtime: attributes.mtime };
  }

  /** Changes a file that it has alone, without telling. */
  writeLocally(ino: Ino, mtime: bigint): void {
    const belief = this.belief(ino);
    const isRecalled = this.#open.some(({ recall }) => recall.ino === ino);
    if (belief.level !== "exclusive" || isRecalled || this.#changes({ ino }) || belief.shown === undefined) return;
    this.#history.changed(ino, belief.shown.mtime, mtime);
    belief.shown = { ...belief.shown, mtime };
    belief.isDirty = true;
  }

  /** Takes a step with one of the recalls that it was sent. */
  answerOne(): void {
    const open = this.#open[this.#random.below(this.#open.length)];
    if (open === undefined) return;
    const { ino, number } = open.recall;
    const belief = this.belief(ino);
    if (open.flushed) {
      this.#open.splice(this.#open.indexOf(open), 1);
      this.#drop(open.recall);
      this.client.tell({ kind: "acknowledged", ino, number });
    } else if (belief.isDirty) this.flush(ino);
    else if (!this.#flushing.has(ino)) {
      open.flushed = true;
      if (belief.level === "exclusive") belief.level = "shared";
      this.client.tell({ kind: "flushed", ino, number });
    }
  }

  /** Sends what it has changed by itself. */
  flush(ino: Ino): void {
    const belief = this.belief(ino);
    if (!belief.isDirty || belief.shown === undefined) return;
    const { mtime } = belief.shown;
    belief.isDirty = false;
    this.#flushing.add(ino);
    const request = { ino, extents: [], epochs: [], size: 0, append: false, mtime, clearPrivileges: false };
    this.change({ ino }, (slot) =>
      this.client.change("writeExtents", request, slot).finally(() => this.#flushing.delete(ino)),
    );
  }

  #drop({ ino, to, drop }: LeaseRecall): void {
    const belief = this.belief(ino);
    if (belief.level !== "none") belief.level = to;
    for (const scope of drop) {
      if (scope.kind === "entry") this.names.delete(scope.name);
      if (scope.kind === "everything" && ino === rootIno) this.names.clear();
      if (scope.kind !== "data") belief.shown = undefined;
    }
  }

  /** Gives up to have it alone, by itself; what it keeps of it stays. */
  lower(ino: Ino): void {
    const belief = this.belief(ino);
    if (belief.level !== "exclusive" || belief.isDirty || this.#flushing.has(ino)) return;
    if (this.#open.some(({ recall }) => recall.ino === ino)) return;
    belief.level = "shared";
    this.client.tell({ kind: "lowered", ino, number: belief.number });
  }

  /** Its kernel needs the inode no more: what it knew of it is gone, its lease stays until it is recalled. */
  forget(ino: Ino): void {
    const belief = this.belief(ino);
    if (belief.level === "none" || belief.isDirty || this.#flushing.has(ino)) return;
    belief.shown = undefined;
    this.client.tell({ kind: "forgotten", ino });
  }

  /** Everything that it keeps is what the name server has. */
  check(cluster: TestCluster): void {
    if (this.problem !== undefined) throw this.problem as Error;
    for (const [ino, { level, shown, isDirty }] of this.beliefs) {
      if (level === "none" || shown === undefined || this.#changes({ ino })) continue;
      const value = cluster.store.get(keys.inode(ino));
      assert(value !== undefined, `a client keeps inode ${String(ino)}, which is gone`);
      const record = decodeInode(value);
      assert.equal(shown.mode, record.mode, `a client keeps an old mode of inode ${String(ino)}`);
      if (!isDirty) assert.equal(shown.mtime, record.mtime, `a client keeps an old time of inode ${String(ino)}`);
    }
    if (this.belief(rootIno).level === "none") return;
    for (const [name, ino] of this.names) {
      if (this.#changes({ names: [name] })) continue;
      const value = cluster.store.get(keys.entry(rootIno, name));
      const there = value === undefined ? null : decodeEntry(value).ino;
      assert.equal(ino, there, `a client keeps what ${name} was before`);
    }
  }
}

/** Nobody has anything while another one has it alone. */
export function checkAlone(clients: readonly ModelClient[]): void {
  const holders = new Map<Ino, LeaseLevel[]>();
  for (const { beliefs } of clients) {
    for (const [ino, { level }] of beliefs) {
      if (level !== "none") holders.set(ino, [...(holders.get(ino) ?? []), level]);
    }
  }
  for (const [ino, levels] of holders) {
    assert(levels.length < 2 || !levels.includes("exclusive"), `inode ${String(ino)} is held ${levels.join(" and ")}`);
  }
}
