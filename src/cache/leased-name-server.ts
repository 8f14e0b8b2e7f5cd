/**
 * The name server, with every grant that rides on a reply taken in before whoever asked sees the reply, and with what ran
 * ahead sent before whatever is asked: so the server answers from a state that has it.
 */
import type { LeaseGrant } from "../protocol/leases.ts";
import type { NameServer } from "../remote/types.ts";
import type { Leases } from "./leases.ts";

interface Granting {
  readonly leases?: readonly LeaseGrant[] | undefined;
  /** Of a listing: each may have a shared lease of its own. */
  readonly entries?: readonly { readonly ino: LeaseGrant["ino"]; readonly lease?: number | undefined }[];
}

export function leasedNameServer(server: NameServer, leases: Leases): NameServer {
  const taking =
    (asked: number) =>
    <Reply>(reply: Reply): Reply => {
      take(leases, reply as Granting, asked);
      return reply;
    };
  const { ahead } = server;
  return {
    ask(method, request, options) {
      const behind = ahead.send();
      if (behind !== undefined) return behind.then(() => this.ask(method, request, options));
      return server.ask(method, request, options).then(taking(leases.moment));
    },
    change(method, request, options) {
      const behind = ahead.send();
      if (behind !== undefined) return behind.then(() => this.change(method, request, options));
      return server.change(method, request, options).then(taking(leases.moment));
    },
    tell(news) {
      const behind = ahead.send();
      if (behind === undefined) {
        for (const one of news) if (one.kind === "acknowledged") leases.acknowledged(one.ino, one.number);
        server.tell(news);
      } else {
        void behind.then(() => {
          this.tell(news);
        });
      }
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

function take(leases: Leases, { leases: grants, entries }: Granting, asked: number): void {
  if (grants !== undefined) leases.granted(grants, asked);
  if (entries === undefined) return;
  const listed: LeaseGrant[] = [];
  for (const { ino, lease } of entries) if (lease !== undefined) listed.push({ ino, number: lease, level: "shared" });
  leases.granted(listed, asked);
}
