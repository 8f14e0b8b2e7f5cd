/**
 * Repair: keeps every group at its number of whole members, without anybody's help. Decides who is out, changes members,
 * has new ones copy (the most endangered groups first), compares nodes that return, and replaces damaged copies.
 *
 * Invariants: all that has to survive a restart is in the group and node records; while more than half of the nodes are
 * silent nothing is decided and nothing copied.
 */
import type { Clock } from "../../base/clock.ts";
import { blockName, type BlockId, type GroupId, type NodeId } from "../../base/ids.ts";
import type { Log } from "../../base/log.ts";
import type { MetadataStore } from "../../metadata-store/types.ts";
import type { RepairStatus } from "../../protocol/status.ts";
import type { ClusterMaps } from "../cluster-map.ts";
import type { ListeningTime } from "../listening.ts";
import type { Nodes } from "../nodes.ts";
import { addressText, isGone, type StorageNode } from "../storage-node.ts";
import { createComparisonRounds } from "./comparison-rounds.ts";
import { createCopyJobs } from "./copy-jobs.ts";
import { createMembership } from "./membership.ts";
import { createOrders, type Orders } from "./orders.ts";
import type { Foreground } from "./foreground.ts";
import { createPace, type Pace } from "./pace.ts";
import { createReconciliation } from "./reconcile.ts";
import { createRescue } from "./rescue.ts";
import { createSizes } from "./sizes.ts";
import { createSuspects } from "./suspects.ts";

export interface Repair {
  /** That node's copy is said to be damaged or missing: it is verified, and replaced by a good one, soonest. */
  suspect(node: NodeId, block: BlockId): void;
  /** `held`: the groups of which it has, or had, blocks. */
  nodeRegistered(node: StorageNode, held: readonly GroupId[]): void;
  /** Twice a second. */
  tick(): void;
  /** The nodes that repair waits for: more than half of all are silent. Empty: it does not wait. */
  waitsFor(): readonly StorageNode[];
  status(): RepairStatus;
  /** What repair asks of nodes, and how fast: also for those who do such work beside it. */
  readonly orders: Orders;
  readonly pace: Pick<Pace, "paced">;
  close(): Promise<void>;
}

const lostShown = 16;

export function createRepair(parts: {
  store: MetadataStore;
  clock: Clock;
  log: Log;
  listening: ListeningTime;
  nodes: Nodes;
  maps: ClusterMaps;
  downMillis: number;
  outMillis: number;
  /** Everything that every node holds is compared once in this time. */
  compareRoundMillis: number;
  foreground: Foreground;
  /** Puts blocks that nothing names into the reclaim queue. */
  discard: (blocks: readonly BlockId[]) => Promise<void>;
}): Repair {
  const { store, clock, log, listening, nodes, maps } = parts;
  const stopping = new AbortController();
  const orders = createOrders(nodes, () => store.epoch);
  const pace = createPace(clock, parts.foreground);
  const sizes = createSizes(store, clock);
  const suspects = createSuspects({ store, maps, nodes, orders, pace, clock, log });
  const reconciliation = createReconciliation({
    ...{ store, maps, nodes, orders, pace, clock, log, suspects, left },
    discard: parts.discard,
    welcome: (node, group) => membership.welcome(node, group),
  });
  const jobs = createCopyJobs({
    ...{ store, maps, nodes, orders, pace, clock, log, sizes },
    discard: parts.discard,
    lost: (block) => {
      suspects.addLost(block);
    },
  });
  const membership = createMembership({
    ...{ maps, nodes, sizes, log, left },
    isFull: (node) => jobs.isFull(node),
    isBusy: (group) => reconciliation.isBusy(group),
    isReturning: () => reconciliation.isReturning,
    rescue: createRescue({
      ...{ maps, nodes, sizes, log },
      isBusy: (group) => reconciliation.isBusy(group),
      isSilent: ({ state, heardAt }) => state === "down" && listening.now() - heardAt > parts.downMillis,
      left(node, group) {
        jobs.stop(group, node);
        reconciliation.returned(node, [group]);
      },
    }),
  });
  const rounds = createComparisonRounds({
    ...{ clock, nodes, maps, roundMillis: parts.compareRoundMillis },
    compare: (node, group) => {
      reconciliation.look(node, group);
    },
  });
  const running = new Set<Promise<void>>();
  let deciding: Promise<void> | undefined;
  /** Listening time of the last moment in which a majority was silent: those who follow it have their time to return, too. */
  let waitedAt = -Infinity;

  /** A node is no member of the group any more. */
  function left(node: NodeId, group: GroupId): void {
    jobs.stop(group, node);
    reconciliation.left(node, group);
  }

  function waitsFor(): readonly StorageNode[] {
    const expected = nodes.all().filter(({ record }) => !isGone(record));
    const silent = expected.filter(({ state }) => state === "down");
    return 2 * silent.length > expected.length ? silent : [];
  }

  async function declareOut(): Promise<void> {
    const now = listening.now();
    for (const node of nodes.all()) {
      const silentSince = Math.max(node.heardAt, waitedAt);
      if (node.state === "up" || isGone(node.record) || now - silentSince <= parts.outMillis) continue;
      log.warn({ node: node.id, address: addressText(node.record) }, "a storage node is out: others take its place");
      await nodes.decide(node, { out: true });
    }
  }

  /** Another node stands at the address of each of them, and no group names them: they will never be back. */
  async function forgetReplaced(): Promise<void> {
    const all = nodes.all();
    const out = all.filter(({ state, record }) => state === "down" && record.out);
    const successors = new Set(all.filter(({ record }) => !isGone(record)).map(({ record }) => addressText(record)));
    const replaced = out.filter(({ record }) => successors.has(addressText(record)));
    if (replaced.length === 0) return;
    const needed = new Set(maps.groups.flatMap((group) => group.nodes));
    for (const node of replaced) {
      if (needed.has(node.id)) continue;
      log.info(
        { node: node.id, address: addressText(node.record) },
        "a storage node is forgotten: another has its place",
      );
      await nodes.forget(node);
    }
  }

  async function decide(): Promise<void> {
    if (waitsFor().length > 0) {
      waitedAt = listening.now();
      jobs.stopAll();
      return;
    }
    await declareOut();
    await forgetReplaced();
    await membership.tick();
    // Afterwards: so that what is to be copied is known when it begins.
    sizes.tick(
      maps.groups.map(({ group }) => group),
      jobs.groups(),
    );
    jobs.start();
  }

  function own(what: string, work: Promise<void>): Promise<void> {
    const promise: Promise<void> = work
      .catch((error: unknown) => {
        log.error({ err: error }, `could not ${what}`);
      })
      .finally(() => running.delete(promise));
    running.add(promise);
    return promise;
  }

  return {
    ...{ orders, pace },
    waitsFor,
    suspect: (node, block) => {
      suspects.add(node, block);
    },

    nodeRegistered(node, held) {
      const own = maps.groups.filter((group) => group.nodes.includes(node.id)).map(({ group }) => group);
      reconciliation.returned(node.id, new Set([...own, ...held]));
      suspects.nodeRegistered(node.id);
    },

    tick() {
      if (stopping.signal.aborted || deciding !== undefined) return;
      deciding = own("repair", decide()).finally(() => {
        deciding = undefined;
      });
      if (waitsFor().length > 0) return;
      rounds.tick();
      void own("compare storage nodes", reconciliation.tick(stopping.signal));
      void own("verify copies", suspects.tick(stopping.signal));
    },

    status() {
      const lost = suspects.lost;
      const { bytesToGo, groupsWaiting } = jobs.progress();
      const rate = pace.bytesPerSecond;
      const silent = waitsFor();
      return {
        state: silent.length > 0 ? "waiting" : groupsWaiting > 0 ? "copying" : "idle",
        groupsWaiting,
        bytesToGo,
        bytesPerSecond: groupsWaiting > 0 ? rate : 0,
        secondsLeft: groupsWaiting === 0 ? 0 : rate === 0 ? null : Math.ceil(bytesToGo / rate),
        copiedBytes: pace.copiedBytes,
        comparing: reconciliation.waiting,
        suspects: suspects.waiting,
        copiesVerified: suspects.settled,
        lostBlocks: lost.length,
        lost: lost.slice(0, lostShown).map(blockName),
      };
    },

    async close() {
      stopping.abort();
      jobs.stopAll();
      await Promise.all([...running, jobs.close()]);
    },
  };
}
