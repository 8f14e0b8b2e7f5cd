/** A name server behind leases: it answers when the test says so, and stands behind a log of what ran ahead. */
import { toIno, type Ino } from "../../src/base/ids.ts";
import { leasedNameServer } from "../../src/cache/leased-name-server.ts";
import { createLeases, type Leases } from "../../src/cache/leases.ts";
import type { LeaseGrant, LeaseNews, LeaseRecall } from "../../src/protocol/leases.ts";
import type { NameServer } from "../../src/remote/types.ts";
import { nothingAhead } from "../support/closed-log.ts";
import { SimulatedClock } from "../support/simulated-clock.ts";

export const [parent, file, other] = [toIno(7), toIno(8), toIno(9)];

interface Sent {
  readonly method: string;
  readonly answer: (reply: unknown) => void;
  readonly fail: (error: Error) => void;
}

export class World {
  readonly leases: Leases = createLeases(new SimulatedClock());
  /** What was sent, in order: what ran ahead, calls, news. */
  readonly trace: string[] = [];
  /** How much of what ran ahead is not sent. */
  waiting = 0;
  /** So much is on its way that it cannot be sent now. */
  isFull = false;
  bytesFree = 100;
  readonly server: NameServer;
  private readonly calls: Sent[] = [];
  private rooms: (() => void)[] = [];
  private number = 0;

  constructor() {
    this.leases.trust(1e9);
    const call = (method: string): Promise<unknown> => {
      this.trace.push(method);
      return new Promise((answer, fail) => this.calls.push({ method, answer, fail }));
    };
    const room = (): number => this.bytesFree;
    const inner = {
      ...nothingAhead,
      ask: call,
      change: call,
      tell: (news: readonly LeaseNews[]) => this.trace.push(`news: ${news.map(text).join(", ")}`),
      ahead: { ...nothingAhead.ahead, send: () => this.send() },
      nowNanos: () => 77n,
      close: () => Promise.resolve(),
      get bytesFree() {
        return room();
      },
    };
    this.server = leasedNameServer(inner as unknown as NameServer, this.leases);
  }

  /** Leases it now. Returns the moment at which it was asked for: what was asked then may be kept. */
  grant(ino: Ino, level: LeaseGrant["level"] = "shared"): number {
    const { moment } = this.leases;
    this.leases.granted([this.grantOf(ino, level)], moment);
    return moment;
  }
  grantOf(ino: Ino, level: LeaseGrant["level"] = "shared"): LeaseGrant {
    return { ino, number: ++this.number, level };
  }
  recallOf(ino: Ino, some: Partial<LeaseRecall> = {}): LeaseRecall {
    return { ino, number: ++this.number, to: "none", drop: [{ kind: "everything" }], ...some };
  }

  /** Calls it, untyped: what is asked matters here, not its schema. */
  call(method: string, request: object, how: "ask" | "change" = "ask"): Promise<unknown> {
    const server = this.server as unknown as Record<typeof how, (method: string, request: object) => Promise<unknown>>;
    return server[how](method, request);
  }
  /** Answers the oldest call. */
  answer(reply: unknown): void {
    this.oldest().answer(reply);
  }
  fail(error: Error): void {
    this.oldest().fail(error);
  }
  async answered(method: string, request: object, reply: unknown): Promise<void> {
    const asking = this.call(method, request);
    this.answer(reply);
    await asking;
  }

  /** What is on its way has arrived: there is room. */
  arrive(): void {
    this.isFull = false;
    for (const resolve of this.rooms.splice(0)) resolve();
  }
  take(): string[] {
    return this.trace.splice(0);
  }

  private oldest(): Sent {
    const oldest = this.calls.shift();
    if (oldest === undefined) throw new Error("nothing was asked");
    return oldest;
  }
  private send(): Promise<void> | undefined {
    if (this.waiting === 0) return undefined;
    if (this.isFull) return new Promise((resolve) => this.rooms.push(resolve));
    this.trace.push(`ahead: ${String(this.waiting)}`);
    this.waiting = 0;
    return undefined;
  }
}

function text(news: LeaseNews): string {
  return "ino" in news ? `${news.kind} ${String(news.ino)}` : news.kind;
}

export async function turns(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve();
}
