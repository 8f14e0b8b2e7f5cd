/** The name server, with every grant that rides on a reply taken in before whoever asked sees the reply. */
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
  return {
    ask: (method, request, options) => server.ask(method, request, options).then(taking(leases.moment)),
    change: (method, request, options) => server.change(method, request, options).then(taking(leases.moment)),
    tell: (news) => {
      server.tell(news);
    },
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
