/** The methods that are about the cluster and not about files: sessions, blocks and nodes, status. */
import { errnoOf, FsError } from "../base/errno.ts";
import type { Clock } from "../base/clock.ts";
import type { ClusterId } from "../base/ids.ts";
import type { Log } from "../base/log.ts";
import type { MetadataStore } from "../metadata-store/types.ts";
import type { NameServerMethods } from "../protocol/name-server.ts";
import type { StatusReply } from "../protocol/status.ts";
import type { BlockRange } from "../protocol/types.ts";
import type { ReplyOf } from "../rpc/types.ts";
import type { Allocation, BlocksWanted } from "./allocation.ts";
import type { Capacity } from "./capacity.ts";
import type { ClusterMaps } from "./cluster-map.ts";
import type { DumpHandlers } from "./dump/handlers.ts";
import type { JournalService } from "./copies/service.ts";
import type { Execution } from "./execution.ts";
import type { FsckHandlers } from "./fsck/handlers.ts";
import { requireRole, type ServiceHandlers } from "./handlers.ts";
import type { LeaseService } from "./lease-service.ts";
import { nextTurn } from "./next-turn.ts";
import type { Nodes } from "./nodes.ts";
import type { OrphanQuestions } from "./orphan-questions.ts";
import { placeableNodes } from "./placement.ts";
import type { Reclaim } from "./reclaim.ts";
import type { NodeHandlers } from "./repair/node-handlers.ts";
import type { RefusedNodes } from "./refused-nodes.ts";
import type { Replies } from "./replies.ts";
import type { Sessions } from "./sessions.ts";
import type { Damage } from "./scrub/damage.ts";
import type { RemotePeer, Session } from "./types.ts";

export function createServiceHandlers(parts: {
  store: MetadataStore;
  clock: Clock;
  log: Log;
  cluster: () => ClusterId;
  execution: Execution;
  sessions: Sessions;
  leases: LeaseService;
  orphans: OrphanQuestions;
  replies: Replies;
  nodes: Nodes;
  maps: ClusterMaps;
  allocation: Allocation;
  capacity: Capacity;
  reclaim: Reclaim;
  damage: Damage;
  refused: RefusedNodes;
  status: () => StatusReply;
  /** A storage node takes part in the journal's copies from here on; undefined: there are none. */
  admit: JournalService["admit"] | undefined;
}): Omit<ServiceHandlers, keyof (FsckHandlers & DumpHandlers & NodeHandlers)> {
  const { store, clock, log, execution, sessions, leases, orphans, replies, nodes, maps, allocation, capacity } = parts;

  /** The answer to an opening; once it is on its way the client may be called. */
  function opened(session: Session, peer: RemotePeer, resumed: boolean): ReplyOf<NameServerMethods, "openSession"> {
    void nextTurn().then(() => {
      if (session.peer !== peer || session.ended) return;
      session.callable = true;
      leases.callable(session);
      if (resumed) orphans.resumed(session);
    });
    return {
      session: session.id,
      resumed,
      cluster: parts.cluster(),
      epoch: store.epoch,
      ttlMillis: sessions.ttlMillis,
      serverNanos: clock.wallNanos(),
      leasesKept: resumed && !session.awaited,
      map: maps.current(),
    };
  }

  /** Numbers in groups with space; without any, room is made first, once. Throws EAGAIN: no healthy group. */
  function prepareSpace(wanted: BlocksWanted): () => Promise<void> | undefined {
    const hasSpace = (): boolean => allocation.hasSpace(wanted);
    let tried = false;
    return () => {
      if (tried || hasSpace()) return undefined;
      tried = true;
      return parts.reclaim.makeRoom(hasSpace);
    };
  }

  return {
    async openSession({ resume, clientName }, context) {
      requireRole(context, "client");
      const { peer } = context;
      const own = sessions.find(peer);
      if (own !== undefined && own.id !== resume) throw new FsError("EINVAL", "this connection has a session already");
      const known = resume === undefined ? undefined : sessions.get(resume);
      if (known !== undefined && !known.ended && !known.condemned) {
        sessions.resume(peer, known);
        return execution.whenDurable(() => opened(known, peer, true));
      }
      const session = await sessions.open(peer, clientName);
      if (!peer.isOpen) {
        await sessions.end(session, "its connection broke while it was opened");
        throw new FsError("ECONNRESET", "the connection broke while the session was opened");
      }
      return opened(session, peer, false);
    },

    heartbeat(_request, { peer }) {
      sessions.heartbeat(peer);
      return { serverNanos: clock.wallNanos(), mapVersion: maps.version, bytesFree: capacity.space().bytesFree };
    },

    async closeSession(_request, { peer }) {
      await sessions.end(sessions.of(peer), "closed by the client", { keepConnection: true });
      return {};
    },

    clusterMap(_request, { peer }) {
      sessions.of(peer);
      return execution.whenDurable(() => ({ map: maps.current() }));
    },

    async allocateBlocks({ op, count, avoid, replicas }, { peer }) {
      const session = sessions.of(peer);
      const wanted = { avoid, replicas };
      // There may have been too few nodes for such groups before, and there may be still: then it is told to wait.
      if (replicas !== undefined) await maps.require(replicas, placeableNodes(nodes.all())).catch(whileTooFew);
      const { ranges } = await replies.once<{ ranges: BlockRange[] }>({
        session,
        method: "allocateBlocks",
        op,
        prepare: prepareSpace(wanted),
        run: (transaction) => {
          if (capacity.space().metadataFull)
            throw new FsError("ENOSPC", "the name server's disk is down to its reserve");
          return { ranges: allocation.allocate(transaction, { session: session.id, count, ...wanted }) };
        },
      });
      return { ranges, map: maps.current() };
    },

    reportNode(report, { peer }) {
      const session = sessions.of(peer);
      const node = nodes.get(report.node);
      if (node === undefined) throw new FsError("ENOENT", `there is no storage node ${report.node}`);
      const { problem } = report;
      log.warn({ node: node.id, problem, block: report.block, session: session.id }, "a client reports a storage node");
      if (problem === "unreachable" || problem === "full") void nodes.check(node);
      else if (report.block !== undefined) parts.damage.complain(node.id, report.block);
      return {};
    },

    async registerNode(request, context) {
      requireRole(context, "storage-node");
      try {
        await parts.admit?.(request.node, request.cluster, context.peer);
        await nodes.register(context.peer, request);
      } catch (error) {
        parts.refused.note(request.node, request.address, error);
        throw error;
      }
      return { cluster: parts.cluster(), epoch: store.epoch, heartbeatMillis: nodes.heartbeatMillis };
    },

    nodeHeartbeat(request, { peer }) {
      nodes.heartbeat(peer, request);
      return {};
    },

    // With copies also while nothing becomes durable: it says whom everything waits for.
    status: () =>
      parts.admit === undefined
        ? execution.whenDurable(() => ({ status: parts.status() }))
        : { status: parts.status() },
  };
}

function whileTooFew(error: unknown): void {
  if (errnoOf(error) !== "EINVAL") throw error;
}
