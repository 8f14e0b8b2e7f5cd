/**
 * One client of the lease model: what it believes, what it has changed and not told yet, and its messages, of which
 * replies and recalls overtake each other. It is as awkward as a real one may be: it drops nothing before all its own
 * reading requests are answered (the kernel's locks), and if it is stubborn, its changing ones too.
 */
import type { Ino, SessionId } from "../../../src/base/ids.ts";
import type { LeaseGrant, LeaseRecall, LeaseScope } from "../../../src/protocol/leases.ts";
import type { LeaseRequest, Want } from "../../../src/name-server/leases/types.ts";

export const parts = ["attributes", "entry a", "entry b", "data 0", "data 1"] as const;
export type Part = (typeof parts)[number];
const dataBytes = 10;

export function dataScope(index: 0 | 1): LeaseScope {
  return { kind: "data", offset: index * dataBytes, length: dataBytes };
}

export function partsOf(scope: LeaseScope): readonly Part[] {
  switch (scope.kind) {
    case "everything":
      return parts;
    case "attributes":
      return ["attributes"];
    case "entry":
      return [`entry ${scope.name}` as Part, "attributes"];
    case "data":
      return ([0, 1] as const)
        .filter((index) => scope.offset < (index + 1) * dataBytes && scope.offset + scope.length > index * dataBytes)
        .map((index) => `data ${String(index)}` as Part);
  }
}

export interface Job {
  readonly client: Client;
  wants: readonly Want[];
  /** How many recalls had arrived when it was sent. */
  readonly recallsBefore: number;
  /** The client's own changes when it was sent: an answer is not kept if there were more since. */
  readonly changesBefore: ReadonlyMap<Ino, number>;
  request: LeaseRequest<Job> | undefined;
  /** Order of arrival at the server; undefined: still under way. */
  arrival: number | undefined;
  retried: boolean;
  blocked: boolean;
}

export interface Reply {
  readonly job: Job;
  readonly grants: readonly LeaseGrant[];
  readonly values: ReadonlyMap<Ino, ReadonlyMap<Part, number>>;
}

export type Upward =
  | { readonly kind: "request"; readonly job: Job }
  | { readonly kind: "flush"; readonly ino: Ino; readonly values: ReadonlyMap<Part, number> }
  | { readonly kind: "flushed" | "acknowledged" | "lowered"; readonly ino: Ino; readonly number: number }
  | { readonly kind: "blocked" };

interface Belief {
  level: "none" | "shared" | "exclusive";
  number: number;
  /** How many recalls had arrived with the last one of this inode. */
  recalledAt: number;
  readonly kept: Map<Part, number>;
  readonly dirty: Set<Part>;
}

export class Client {
  readonly id: SessionId;
  readonly stubborn: boolean;
  readonly up: Upward[] = [];
  readonly replies: Reply[] = [];
  readonly recalls: LeaseRecall[] = [];
  readonly unanswered = new Set<Job>();
  /** Recalls that arrived and are not acknowledged. */
  readonly open: { readonly recall: LeaseRecall; flushed: boolean }[] = [];
  readonly beliefs = new Map<Ino, Belief>();
  readonly #changes = new Map<Ino, number>();
  #recallsArrived = 0;

  constructor(id: SessionId, stubborn: boolean) {
    this.id = id;
    this.stubborn = stubborn;
  }

  belief(ino: Ino): Belief {
    let found = this.beliefs.get(ino);
    if (found === undefined) {
      found = { level: "none", number: 0, recalledAt: 0, kept: new Map(), dirty: new Set() };
      this.beliefs.set(ino, found);
    }
    return found;
  }

  send(wants: readonly Want[]): void {
    for (const { ino, changes } of wants) if (changes !== undefined) this.#changed(ino);
    const job: Job = {
      client: this,
      wants,
      recallsBefore: this.#recallsArrived,
      changesBefore: new Map(this.#changes),
      request: undefined,
      arrival: undefined,
      retried: false,
      blocked: false,
    };
    this.unanswered.add(job);
    this.up.push({ kind: "request", job });
  }

  #changed(ino: Ino): void {
    this.#changes.set(ino, (this.#changes.get(ino) ?? 0) + 1);
  }

  /** Whether a change of its own is unanswered: then its cache is its own affair. */
  isChanging(ino: Ino): boolean {
    return [...this.unanswered].some(({ wants }) =>
      wants.some((want) => want.ino === ino && want.changes !== undefined),
    );
  }

  mayWriteLocally(ino: Ino): boolean {
    const flushing = this.open.some(({ recall, flushed }) => flushed && recall.ino === ino);
    return this.belief(ino).level === "exclusive" && !flushing && !this.isChanging(ino);
  }

  writeLocally(ino: Ino, part: Part, version: number): void {
    const belief = this.belief(ino);
    belief.kept.set(part, version);
    belief.dirty.add(part);
    this.#changed(ino);
  }

  receiveReply(): void {
    const reply = this.replies.shift();
    if (reply === undefined) return;
    const { job, grants, values } = reply;
    this.unanswered.delete(job);
    for (const { ino, changes } of job.wants) {
      for (const part of (changes ?? []).flatMap(partsOf)) this.belief(ino).kept.delete(part);
    }
    for (const grant of grants) {
      const belief = this.belief(grant.ino);
      if (belief.recalledAt > job.recallsBefore) continue;
      [belief.level, belief.number] = [grant.level, grant.number];
      if (this.#changes.get(grant.ino) !== job.changesBefore.get(grant.ino) || this.isChanging(grant.ino)) continue;
      for (const [part, version] of values.get(grant.ino) ?? []) {
        // What it changed itself and has not told, or told after the answer was made, is newer than the answer.
        if (version >= (belief.kept.get(part) ?? 0)) belief.kept.set(part, version);
      }
    }
    // A change may have reached an inode that it was not sent for: what was asked before it is doubtful.
    for (const { ino, changes } of job.wants) if (changes !== undefined) this.#changed(ino);
  }

  receiveRecall(): void {
    const recall = this.recalls.shift();
    if (recall === undefined) return;
    this.belief(recall.ino).recalledAt = ++this.#recallsArrived;
    this.open.push({ recall, flushed: false });
  }

  /** Sends what it changed and changes nothing more: waits for nothing. */
  flush(at: number): boolean {
    const open = this.open[at];
    if (open === undefined || open.flushed) return false;
    open.flushed = true;
    const { ino, number } = open.recall;
    this.flushDirty(ino);
    const belief = this.belief(ino);
    if (belief.level === "exclusive") belief.level = "shared";
    this.up.push({ kind: "flushed", ino, number });
    return true;
  }

  flushDirty(ino: Ino): void {
    const belief = this.belief(ino);
    if (belief.dirty.size === 0) return;
    const values = new Map([...belief.dirty].map((part) => [part, belief.kept.get(part) ?? 0]));
    belief.dirty.clear();
    this.up.push({ kind: "flush", ino, values });
  }

  /** `forced`: this once nothing of its own is in the way. */
  acknowledge(at: number, forced = false): boolean {
    const open = this.open[at];
    if (open?.flushed !== true) return false;
    const { ino, number, to, drop } = open.recall;
    if (!forced && drop.length > 0 && [...this.unanswered].some((job) => this.#locks(job))) return false;
    this.open.splice(at, 1);
    const belief = this.belief(ino);
    for (const part of drop.flatMap(partsOf)) belief.kept.delete(part);
    if (to === "none") belief.level = "none";
    this.up.push({ kind: "acknowledged", ino, number });
    return true;
  }

  #locks(job: Job): boolean {
    return this.stubborn || job.wants.every(({ changes }) => changes === undefined);
  }

  lower(ino: Ino): void {
    const belief = this.belief(ino);
    if (belief.level !== "exclusive" || this.open.some(({ recall }) => recall.ino === ino)) return;
    this.flushDirty(ino);
    belief.level = "shared";
    this.up.push({ kind: "lowered", ino, number: belief.number });
  }
}
