/**
 * The name server: puts its parts together, and owns what runs by itself (ticks, background work, connections).
 *
 * Everything happens in one thread in one order. The store belongs to the caller, who also watches `store.failed`:
 * then nothing is answered any more and the process has to end.
 */
import { FsError } from "../base/errno.ts";
import type { ClusterId, GroupId, NodeId, SessionId } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import { keys } from "../metadata-store/keys.ts";
import { decodeGroup } from "../metadata-store/records.ts";
import { createAheadLogs } from "./ahead/ahead-logs.ts";
import { createAllocation } from "./allocation.ts";
import { createBackground } from "./background.ts";
import { departedSessions, releaseBelongings } from "./belongings.ts";
import { createCapacity } from "./capacity.ts";
import { initialiseCluster } from "./cluster.ts";
import { createClusterMaps } from "./cluster-map.ts";
import { createDump } from "./dump/handlers.ts";
import { createExecution } from "./execution.ts";
import { copyNodes, createJournalService } from "./copies/service.ts";
import { gated } from "./copies/gate.ts";
import { createFsck } from "./fsck/handlers.ts";
import { createHandlers } from "./handlers.ts";
import { createListeningTime } from "./listening.ts";
import { createLeaseService } from "./lease-service.ts";
import { createLockHandlers } from "./lock-handlers.ts";
import { createLockService } from "./lock-service.ts";
import { createMapPushes } from "./map-pushes.ts";
import {
  Allocator,
  beginInlineSum,
  releaseOrphan,
  type OperationContext,
  type Transaction,
} from "./namespace/index.ts";
import { createNodes } from "./nodes.ts";
import { contextMaker } from "./operation-context.ts";
import { createOrphanQuestions } from "./orphan-questions.ts";
import { placeableNodes } from "./placement.ts";
import { createNodeHandlers } from "./repair/node-handlers.ts";
import { Foreground } from "./repair/foreground.ts";
import { createReplies } from "./replies.ts";
import { createScrubHandlers } from "./scrub/handlers.ts";
import { createServiceHandlers } from "./service-handlers.ts";
import { silentAfterFailure } from "./silence.ts";
import { createRefusedNodes } from "./refused-nodes.ts";
import { HalfDeadBlocks } from "./rewrite/half-dead.ts";
import { rewriteOwner } from "./rewrite/swap.ts";
import { createSessions } from "./sessions.ts";
import { describeStatus } from "./status.ts";
import type { NameServer, NameServerParts, RemotePeer, Session } from "./types.ts";
import { createUpkeep } from "./upkeep.ts";

/** For whom the server's own changes are made. */
const nobody = "0000000000000000" as SessionId;
/** The server's own disk is looked at every so many ticks. */
const ticksPerProbe = 10;

export function createNameServer({
  store,
  clock,
  random,
  log,
  options,
  space,
  disk,
  copies,
}: NameServerParts): NameServer {
  const { replicas } = options;
  const startedAt = clock.monotonicMillis();
  const peers = new Set<RemotePeer>();
  const background = createBackground(log);
  /** Sessions that have ended and whose belongings are being released. */
  const leaving = new Set<SessionId>();
  let cluster: ClusterId | undefined;
  let ticks = 0;
  let wasOpen = true;

  const listening = createListeningTime(clock);
  const foreground = new Foreground(clock);
  const execution = createExecution(store, (wait) => foreground.timed(wait));
  const replies = createReplies(store, execution, log);
  const sessions = createSessions({
    ...{ store, execution, clock, random, log, listening },
    ttlMillis: options.sessionTtlMillis ?? limits.sessionTtlMillis,
    events: { onEnded, onBack },
  });
  const leases = createLeaseService({
    ...{ sessions, log },
    now: () => listening.now(),
    // Microseconds pass faster than leases are granted.
    lastNumber: Number(clock.wallNanos() / 1000n),
  });
  const locks = createLockService(() => sessions.awaitsOthers);
  const nodes = createNodes({
    ...{ store, execution, listening, log, cluster: knownCluster },
    nowNanos: () => clock.wallNanos(),
    downMillis: options.nodeDownMillis ?? limits.nodeDownMillis,
    nextNumber: (group: GroupId) => {
      const record = store.get(keys.group(group));
      return record === undefined ? undefined : decodeGroup(record).nextNumber;
    },
    events: {
      onChange: () => {
        maps.changed();
      },
      onRegistered: (node, held) => {
        upkeep.nodeRegistered(node, held);
        return maps.extend(placeableNodes(nodes.all()));
      },
    },
  });
  const journal =
    copies === undefined
      ? undefined
      : createJournalService({
          ...{ ...copies, clock, log, replicas },
          cluster: knownCluster,
          epoch: () => store.epoch,
          nodes: () => copyNodes(nodes.all(), mayHaveGroups),
        });
  const maps = createClusterMaps({
    ...{ store, execution, replicas, minReplicas: options.minReplicas },
    nodes: () =>
      nodes.all().map(({ id, record, state }) => ({ id, address: { host: record.host, port: record.port }, state })),
    onChange: () => {
      capacity.refresh();
      pushes.changed();
    },
  });
  const capacity = createCapacity({ nodes, replicas, disk: space, reserveBytes: options.reserveBytes, log });
  const pushes = createMapPushes({ clock, sessions, current: () => maps.current() });
  const allocation = createAllocation({ nodes, maps, random, replicas });
  const allocator = new Allocator(store);
  const halfDead = new HalfDeadBlocks({ now: () => clock.monotonicMillis(), delayMillis: limits.halfDeadMillis });
  const makeContext = contextMaker({ store, clock, allocator, sessions, capacity, halfDead });
  const refused = createRefusedNodes(() => listening.now());
  const logs = createAheadLogs(store);
  const asNobody = (transaction: Transaction): OperationContext => makeContext(transaction, nobody);
  const upkeep = createUpkeep({
    ...{ store, execution, clock, log, listening, background, nodes, maps, allocation, halfDead, options, foreground },
    ...{ makeContext: asNobody, disk },
  });
  const { reclaim, damage, suspect } = upkeep;
  const orphans = createOrphanQuestions({
    ...{ store, sessions, clock, log },
    release: (session, inos) =>
      execution.change((transaction) => {
        const context = makeContext(transaction, session.id);
        for (const ino of inos) {
          if (transaction.keys > limits.transactionKeysMax / 2) context.checkpoint();
          releaseOrphan(context, ino, session.id);
        }
      }),
  });
  const dump = createDump({ store, clock });
  const fsck = createFsck({
    ...{ store, clock, log, leases },
    copies: { maps, nodes, orders: upkeep.repair.orders, pace: upkeep.repair.pace, suspect },
    makeContext: asNobody,
    hasDeparted: (session) => session !== rewriteOwner && sessions.get(session) === undefined && !leaving.has(session),
  });
  const status = (): ReturnType<NameServer["status"]> =>
    describeStatus({
      ...{ store, sessions, leases, nodes, maps, allocation, capacity, refused, listening, replicas },
      ...upkeep,
      cluster: knownCluster(),
      version: options.version,
      uptimeMillis: clock.monotonicMillis() - startedAt,
      journal,
    });
  const service = createServiceHandlers({
    ...{ store, clock, log, execution, sessions, leases, orphans, replies, nodes, maps, allocation, capacity },
    ...{ reclaim, damage, refused, status, cluster: knownCluster, admit: journal?.admit },
  });
  const answering = createHandlers({
    ...{ store, log, sessions, execution, replies, orphans, leases, makeContext },
    service: { ...service, ...fsck.handlers, ...dump.handlers, ...createNodeHandlers({ nodes, maps, journal }) },
    ...{ capacity, allocator, logs, maps, nodes, replicas },
    locks: createLockHandlers({ sessions, locks }),
    scrub: createScrubHandlers(damage),
  });
  const handlers = silentAfterFailure(foreground.counted(answering), store);

  function knownCluster(): ClusterId {
    if (cluster === undefined) throw new FsError("EAGAIN", "the name server has not started yet");
    return cluster;
  }

  /** Before they are loaded nobody knows. */
  function mayHaveGroups(node: NodeId): boolean {
    return maps.groups.length === 0 || maps.groups.some((group) => group.nodes.includes(node));
  }

  function onEnded(session: Session): void {
    locks.sessionEnded(session);
    replies.forget(session.id);
    logs.forget(session.id);
    orphans.sessionEnded(session);
    leases.sessionEnded(session);
    leaving.add(session.id);
    background.run("release what a session left", () =>
      releaseBelongings({ execution, makeContext, background }, session.id).finally(() => leaving.delete(session.id)),
    );
  }

  function onBack(): void {
    if (sessions.awaitsOthers) return;
    locks.graceEnded();
    leases.graceEnded();
  }

  /** What clients are owed while nobody may be answered is decided when somebody may. */
  function clientsTick(): void {
    const isOpen = journal?.isOpen ?? true;
    if (isOpen && !wasOpen) sessions.excuseSilence();
    wasOpen = isOpen;
    if (!isOpen) return;
    sessions.tick();
    leases.tick();
  }

  function onTick(): void {
    clientsTick();
    nodes.tick();
    capacity.refresh();
    allocation.refresh();
    upkeep.tick();
    if (ticks++ % ticksPerProbe === 0) background.run("look at the free space", () => capacity.probe());
  }

  return {
    handlers: gated(handlers, journal),
    status,
    deposed: journal?.deposed,
    get cluster() {
      return knownCluster();
    },

    connected(peer) {
      peers.add(peer);
      void peer.closed.then(() => {
        peers.delete(peer);
        sessions.disconnected(peer);
        nodes.disconnected(peer);
      });
    },

    async start() {
      cluster = await initialiseCluster({ store, execution, clock, random, log });
      sessions.load();
      nodes.load();
      await journal?.start();
      await maps.load();
      await execution.change(beginInlineSum);
      await capacity.probe();
      capacity.refresh();
      for (const departed of departedSessions(store, (session) => sessions.get(session) !== undefined)) {
        await releaseBelongings({ execution, makeContext, background }, departed);
      }
      listening.start({
        onTick,
        onStall(millis) {
          log.warn(
            { millis: Math.round(millis) },
            "the name server stood still: nobody's silence counts for that time",
          );
        },
      });
      journal?.serve();
      log.info({ cluster, epoch: store.epoch, sessions: sessions.all().length }, "the name server has started");
    },

    async close() {
      listening.close();
      journal?.close();
      pushes.close();
      orphans.close();
      leases.close();
      for (const peer of peers) peer.close("the name server stops");
      await Promise.all([background.close(), upkeep.close(), fsck.close(), dump.close()]);
    },
  };
}
