/**
 * The leases of a FakeNameServer with one session: it grants what the real one would while nobody else is there, and
 * recalls what a test says. Numbers of grants and recalls rise together.
 */
import type { Ino } from "../../src/base/ids.ts";
import type { LeaseGrant, LeaseNews, LeaseRecall, LeaseScope } from "../../src/protocol/leases.ts";

type Level = LeaseGrant["level"];

/** What wants() looks into: requests and replies of any method. */
interface Known {
  readonly ino?: Ino;
  readonly parent?: Ino;
  readonly newParent?: Ino;
  readonly from?: Ino;
  readonly to?: Ino;
  readonly write?: boolean;
  readonly level?: Level;
  readonly name?: string;
}
interface Reply {
  readonly attributes?: { readonly ino: Ino } | null;
  readonly entries?: readonly { readonly ino: Ino }[];
}

export class FakeLeases {
  /** False: it grants nothing more. */
  grants = true;
  /** What it was told, in order. */
  readonly news: LeaseNews[] = [];
  /** Called at each piece of news: a test notes its order among other things. */
  heard: (news: LeaseNews) => void = () => undefined;
  /** The client's handler. */
  deliver: (recalls: readonly LeaseRecall[]) => void = () => undefined;
  readonly held = new Map<Ino, Level>();
  private number = 0;
  private readonly waiting = new Map<number, () => void>();

  /** The reply with the grants that ride on it. */
  grantWith(method: string, request: unknown, reply: unknown): unknown {
    if (!this.grants || typeof reply !== "object" || reply === null || "leases" in reply) return reply;
    const wanted = wants(method, request as Known, reply);
    if (wanted.length === 0) return reply;
    const leases = wanted.map(([ino, level]) => this.grant(ino, level));
    const { entries } = reply as Reply;
    if (entries === undefined) return { ...reply, leases };
    return { ...reply, leases, entries: entries.map((entry) => ({ ...entry, lease: this.grant(entry.ino).number })) };
  }

  /** What the session has it keeps. */
  grant(ino: Ino, wanted: Level = "shared"): LeaseGrant {
    const level = this.held.get(ino) === "exclusive" ? "exclusive" : wanted;
    this.held.set(ino, level);
    return { ino, number: ++this.number, level };
  }

  /** Asks for a lease in this turn. Resolves when that is acknowledged. */
  recall(ino: Ino, to: LeaseRecall["to"] = "none", drop?: readonly LeaseScope[]): Promise<void> {
    const recall = this.recallOf(ino, to, drop);
    const acknowledged = new Promise<void>((resolve) => this.waiting.set(recall.number, resolve));
    this.deliver([recall]);
    return acknowledged;
  }

  /** A recall that is not sent. */
  recallOf(ino: Ino, to: LeaseRecall["to"] = "none", drop?: readonly LeaseScope[]): LeaseRecall {
    return { ino, number: ++this.number, to, drop: drop ?? (to === "none" ? [{ kind: "everything" }] : []) };
  }

  /** All that the session has, in one message. */
  async recallAll(): Promise<void> {
    const recalls = Array.from(this.held.keys(), (ino) => this.recallOf(ino));
    const acknowledged = recalls.map(({ number }) => new Promise<void>((resolve) => this.waiting.set(number, resolve)));
    this.deliver(recalls);
    await Promise.all(acknowledged);
  }

  told(news: readonly LeaseNews[]): void {
    for (const one of news) {
      this.news.push(one);
      this.heard(one);
      if (one.kind !== "acknowledged") continue;
      this.held.delete(one.ino);
      this.waiting.get(one.number)?.();
      this.waiting.delete(one.number);
    }
  }

  /** The kinds of news since the last time this was asked. */
  takeNews(): string[] {
    return this.news.splice(0).map(({ kind }) => kind);
  }
}

function wants(method: string, request: Known, reply: Reply): [Ino, Level][] {
  const { ino, parent, newParent, from, to } = request;
  const about = reply.attributes?.ino;
  const shared = (...inos: (Ino | undefined)[]): [Ino, Level][] =>
    inos.flatMap((one): [Ino, Level][] => (one === undefined ? [] : [[one, "shared"]]));
  switch (method) {
    case "lookup":
      return request.name === "." || request.name === ".." ? shared(about) : shared(parent, about);
    case "open":
      return ino === undefined ? [] : [[ino, request.write === true ? "exclusive" : "shared"]];
    case "acquire":
      return ino === undefined ? [] : [[ino, request.level ?? "shared"]];
    case "create":
    case "mknod":
    case "mkdir":
    case "symlink":
    case "tmpfile":
      return [...shared(parent), ...(about === undefined ? [] : [[about, "exclusive"] as [Ino, Level]])];
    case "link":
      return shared(newParent, ino);
    case "unlink":
    case "rmdir":
      return shared(parent);
    case "rename":
      return shared(parent, newParent, about);
    case "copyFileRange":
      return shared(from, to);
    case "setattr":
      return "ctime" in request ? [] : shared(ino);
    case "getattr":
    case "readlink":
    case "getxattr":
    case "listxattr":
    case "readdir":
    case "readExtents":
    case "writeExtents":
    case "setxattr":
    case "removexattr":
    case "fallocate":
      return shared(ino);
    default:
      return [];
  }
}
