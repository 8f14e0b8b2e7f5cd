/**
 * Random interleavings of requests, replies, recalls and restarts between a server of a few lines and the leases of one
 * session. Replies keep their order, recalls overtake them, requests wait for each other at the server. The two may
 * disagree in one direction only: the session never believes more than the server knows of, and what it kept under a
 * lease is what is true.
 */
import test from "ava";
import { toIno, type Ino } from "../../src/base/ids.ts";
import { nameFromText } from "../../src/base/name.ts";
import { seededRandom, type Random } from "../../src/base/random.ts";
import { createLeases, type Leases } from "../../src/cache/leases.ts";
import type { LeaseGrant, LeaseLevel, LeaseRecall } from "../../src/protocol/leases.ts";
import { SimulatedClock } from "../support/simulated-clock.ts";

const inos = [toIno(2), toIno(3), toIno(4)] as const;
const ranks = { none: 0, shared: 1, exclusive: 2 } as const;
const drop = [{ kind: "entry", name: nameFromText("x") }] as const;

/** What the server knows of one inode: at least what the session may believe. */
interface Known {
  level: LeaseLevel;
  /** Under way. */
  recall: LeaseRecall | undefined;
  /** What is true; others change it when they may. */
  version: number;
}

interface Request {
  readonly ino: Ino;
  readonly asked: number;
}

interface Reply extends Request {
  readonly version: number;
  readonly grants: readonly LeaseGrant[];
}

class World {
  readonly random: Random;
  readonly leases: Leases;
  readonly clock = new SimulatedClock();
  readonly known = new Map<Ino, Known>();
  readonly kept = new Map<Ino, { readonly version: number; readonly since: number }>();
  /** On their way to the server. */
  sent: (Request | { readonly acknowledged: LeaseRecall })[] = [];
  /** Waiting there. */
  requests: Request[] = [];
  replies: Reply[] = [];
  recalls: LeaseRecall[] = [];
  /** Arrived and not acknowledged. */
  open: LeaseRecall[] = [];
  private number = 0;

  constructor(random: Random) {
    this.random = random;
    this.leases = createLeases(this.clock);
    this.leases.trust(1e9);
    for (const ino of inos) this.known.set(ino, { level: "none", recall: undefined, version: 0 });
  }

  of(ino: Ino): Known {
    const known = this.known.get(ino);
    if (known === undefined) throw new Error("no such inode");
    return known;
  }

  step(): void {
    const ino = this.any(inos);
    switch (this.random.below(11)) {
      case 0:
      case 1:
        this.sent.push({ ino, asked: this.leases.moment });
        return;
      case 2:
      case 3:
        this.execute();
        return;
      case 4:
        this.receiveReply();
        return;
      case 5:
        this.recall(ino);
        return;
      case 6:
        this.receiveRecall();
        return;
      case 7:
        this.acknowledge();
        return;
      case 8:
      case 9:
        this.arrive();
        return;
      default:
        this.changeElsewhere(ino);
        if (this.random.below(20) === 0) this.restart();
        if (this.random.below(20) === 0) this.leases.nextMoment();
    }
  }

  /** The reply leaves in this step; when it arrives is another matter. */
  private execute(): void {
    const request = this.takeAny(this.requests);
    if (request === undefined) return;
    const { ino } = request;
    const known = this.of(ino);
    const wanted = this.any(["none", "shared", "exclusive"] as const);
    const grants: LeaseGrant[] = [];
    if (known.recall === undefined && wanted !== "none") {
      if (ranks[wanted] > ranks[known.level]) known.level = wanted;
      // As a listing does it: less than what is held.
      const offered = this.random.below(3) === 0 ? "shared" : known.level;
      grants.push({ ino, number: ++this.number, level: offered === "none" ? "shared" : offered });
    }
    this.replies.push({ ...request, version: known.version, grants });
  }

  private receiveReply(): void {
    const reply = this.replies.shift();
    if (reply === undefined) return;
    const { ino, asked, version, grants } = reply;
    this.leases.granted(grants, asked);
    // What comes without a lease is used once: a lease that was asked for before may still come after it.
    if (this.leases.holds(ino, asked)) this.kept.set(ino, { version, since: asked });
  }

  private recall(ino: Ino): void {
    const known = this.of(ino);
    if (known.level === "none" || known.recall !== undefined) return;
    const to = this.any(["none", "shared"] as const);
    known.recall = { ino, number: ++this.number, to, drop: to === "none" || this.random.below(2) === 0 ? drop : [] };
    this.recalls.push(known.recall);
  }

  private receiveRecall(): void {
    const recall = this.takeAny(this.recalls);
    if (recall === undefined) return;
    this.leases.recalled(recall);
    this.open.push(recall);
  }

  private acknowledge(): void {
    const recall = this.takeAny(this.open);
    if (recall === undefined) return;
    this.leases.acknowledged(recall.ino, recall.number);
    this.sent.push({ acknowledged: recall });
  }

  /** Requests and acknowledgements arrive in the order of sending; only requests wait there. */
  private arrive(): void {
    const next = this.sent.shift();
    if (next === undefined) return;
    if ("asked" in next) this.requests.push(next);
    else this.acknowledgedAt(next.acknowledged);
  }

  private acknowledgedAt(recall: LeaseRecall): void {
    const known = this.of(recall.ino);
    if (known.recall?.number !== recall.number) return;
    known.recall = undefined;
    known.level = recall.to;
    // For whom it waited.
    if (recall.drop.length > 0) known.version++;
  }

  private changeElsewhere(ino: Ino): void {
    const known = this.of(ino);
    if (known.level === "none") known.version++;
  }

  /** The connection breaks; requests are sent again, and recalls are forgotten with everything else. */
  private restart(): void {
    this.requests.push(...this.replies.map(({ ino, asked }) => ({ ino, asked })));
    this.replies = [];
    this.recalls = [];
    this.open = [];
    this.requests.push(...this.sent.flatMap((one) => ("asked" in one ? [one] : [])));
    this.sent = [];
    const grants: LeaseGrant[] = [];
    for (const known of this.known.values()) {
      known.level = "none";
      known.recall = undefined;
    }
    const held = this.leases.held();
    for (const { ino, level } of held) {
      const known = this.of(ino);
      if (this.random.below(4) === 0) known.version++;
      else {
        known.level = level;
        grants.push({ ino, number: ++this.number, level });
      }
    }
    // Recalls that were sent behind the answer, and are handled before it.
    for (const ino of inos) if (this.random.below(4) === 0) this.recall(ino);
    for (let left = this.random.below(4); left > 0; left--) this.receiveRecall();
    this.leases.reclaimed(held, grants);
  }

  check(): void {
    for (const ino of inos) {
      const known = this.of(ino);
      const believed = this.leases.level(ino);
      if (ranks[believed] > ranks[known.level]) {
        throw new Error(`inode ${String(ino)}: believed ${believed}, known to the server ${known.level}`);
      }
      const kept = this.kept.get(ino);
      if (kept !== undefined && this.leases.holds(ino, kept.since) && kept.version !== known.version) {
        throw new Error(`inode ${String(ino)}: kept version ${String(kept.version)}, not ${String(known.version)}`);
      }
    }
  }

  private any<T>(from: readonly T[]): T {
    return from[this.random.below(from.length)] as T;
  }
  private takeAny<T>(from: T[]): T | undefined {
    return from.length === 0 ? undefined : from.splice(this.random.below(from.length), 1)[0];
  }
}

test("the session never believes what the server does not know that it believes", (t) => {
  let kept = 0;
  for (let seed = 1; seed <= 300; seed++) {
    const world = new World(seededRandom(seed));
    const run = (): void => {
      for (let step = 0; step < 400; step++) {
        world.step();
        world.check();
        for (const [ino, { since }] of world.kept) if (world.leases.holds(ino, since)) kept++;
      }
    };
    t.notThrows(run, `seed ${String(seed)}`);
  }
  t.true(kept > 50_000, `something is kept most of the time: ${String(kept)}`);
});
