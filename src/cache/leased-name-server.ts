/**
 * The name server, with every grant that rides on a reply taken in before whoever asked sees the reply, and with what ran
 * ahead sent before whatever is asked: so the server answers from a state that has it.
 */
import type { Attributes } from "../base/attributes.ts";
import type { Ino } from "../base/ids.ts";
import type { LeaseGrant, LeaseNews } from "../protocol/leases.ts";
import type { NameServer } from "../remote/types.ts";
import type { Leases } from "./leases.ts";

/** What a reply may say about inodes. */
interface Telling {
  readonly leases?: readonly LeaseGrant[] | undefined;
  readonly attributes?: Attributes | null;
  readonly replaced?: Attributes | null;
  /** Of a listing. */
  readonly entries?: readonly (Beside & { readonly ino: Ino; readonly attributes?: Attributes | undefined })[];
  /** Files beside the one that is read. */
  readonly others?: readonly (Beside & { readonly attributes: Attributes })[] | undefined;
}

/** It may have a lease of its own. */
interface Beside {
  readonly lease?: number | undefined;
  readonly exclusive?: boolean | undefined;
}

/** The inodes that a request names. */
interface About {
  readonly ino?: Ino;
  readonly parent?: Ino;
  readonly newParent?: Ino;
}

/** Methods whose replies tell nothing that could be kept. */
const untelling: ReadonlySet<string> = new Set(["getLock", "setLock", "releaseLocks", "compactExtents"]);
const nothing: About = {};

export function leasedNameServer(server: NameServer, leases: Leases): NameServer {
  const taking = (method: string, request: unknown): (<Reply>(reply: Reply) => Reply) => {
    const asked = leases.moment;
    const about: About = untelling.has(method) ? nothing : (request as About);
    return (reply) => {
      take(leases, about, reply as Telling, asked);
      return reply;
    };
  };
  const { ahead } = server;
  /** Waits for what ran ahead before it. News that comes meanwhile comes behind it. */
  let untold: LeaseNews[] | undefined;
  return {
    ask(method, request, options) {
      const behind = ahead.send();
      if (behind !== undefined) return behind.then(() => this.ask(method, request, options));
      return server.ask(method, request, options).then(taking(method, request));
    },
    change(method, request, options) {
      const behind = ahead.send();
      if (behind !== undefined) return behind.then(() => this.change(method, request, options));
      return server.change(method, request, options).then(taking(method, request));
    },
    tell(news) {
      if (untold !== undefined) {
        untold.push(...news);
        return;
      }
      const behind = ahead.send();
      if (behind === undefined) {
        for (const one of news) if (one.kind === "acknowledged") leases.acknowledged(one.ino, one.number);
        server.tell(news);
        return;
      }
      untold = [...news];
      void behind.then(() => {
        const all = untold ?? [];
        untold = undefined;
        this.tell(all);
      });
    },
    ahead,
    inodeNumbers: server.inodeNumbers,
    get session() {
      return server.session;
    },
    get cluster() {
      return server.cluster;
    },
    nowNanos: () => server.nowNanos(),
    get bytesFree() {
      return server.bytesFree;
    },
    get map() {
      return server.map;
    },
    close: () => server.close(),
  };
}

function take(leases: Leases, about: About, reply: Telling, asked: number): void {
  const grants = reply.leases ?? [];
  leases.granted(grants, asked);
  const told = [about.ino, about.parent, about.newParent, reply.attributes?.ino, reply.replaced?.ino];
  for (const ino of told) {
    if (ino !== undefined && !grants.some((grant) => grant.ino === ino)) leases.ungranted(ino);
  }
  for (const entry of reply.entries ?? []) {
    if (entry.attributes !== undefined || entry.lease !== undefined) takeBeside(leases, entry.ino, entry, asked);
  }
  for (const other of reply.others ?? []) takeBeside(leases, other.attributes.ino, other, asked);
}

function takeBeside(leases: Leases, ino: Ino, { lease, exclusive }: Beside, asked: number): void {
  if (lease === undefined) leases.ungranted(ino);
  else leases.granted([{ ino, number: lease, level: exclusive === true ? "exclusive" : "shared" }], asked);
}
