/** The state of everything in words and numbers, for operators. */
import { countOfInodes, Transaction } from "./namespace/index.ts";
import type { MetadataStore } from "../metadata-store/types.ts";
import type { StatusReply } from "../protocol/status.ts";
import type { Allocation } from "./allocation.ts";
import type { Capacity } from "./capacity.ts";
import type { ClusterMaps } from "./cluster-map.ts";
import type { JournalService } from "./copies/service.ts";
import type { LeaseService } from "./lease-service.ts";
import type { ListeningTime } from "./listening.ts";
import type { Nodes } from "./nodes.ts";
import { addressText, isGone, type StorageNode } from "./storage-node.ts";
import type { Conversions } from "./replicas/conversions.ts";
import type { Reclaim } from "./reclaim.ts";
import type { RefusedNodes } from "./refused-nodes.ts";
import type { Rewriting } from "./rewrite/rewriting.ts";
import { healthOf } from "./repair/members.ts";
import type { Repair } from "./repair/repair.ts";
import type { MetadataScrub } from "./scrub/metadata-scrub.ts";
import type { Sessions } from "./sessions.ts";

export function describeStatus(parts: {
  store: MetadataStore;
  sessions: Sessions;
  leases: LeaseService;
  nodes: Nodes;
  maps: ClusterMaps;
  allocation: Allocation;
  capacity: Capacity;
  reclaim: Reclaim;
  conversions: Conversions;
  rewriting: Rewriting;
  repair: Repair;
  refused: RefusedNodes;
  metadataScrub: MetadataScrub;
  listening: ListeningTime;
  cluster: string;
  version: string;
  replicas: number;
  uptimeMillis: number;
  journal: JournalService | undefined;
}): StatusReply {
  const { store, sessions, leases, nodes, maps, capacity, reclaim, listening } = parts;
  const now = listening.now();
  const all = nodes.all();
  const sum = (of: (node: (typeof all)[number]) => number): number => all.reduce((total, node) => total + of(node), 0);
  return {
    cluster: parts.cluster,
    version: parts.version,
    epoch: store.epoch,
    replicas: parts.replicas,
    uptimeSeconds: Math.floor(parts.uptimeMillis / 1000),
    capacity: {
      totalBytes: sum(({ record }) => record.capacityBytes),
      usedBytes: sum(({ usedBytes }) => usedBytes),
      freeBytes: sum(({ freeBytes }) => freeBytes),
      availableBytes: capacity.space().bytesFree,
    },
    files: countOfInodes(new Transaction(store)),
    nodes: all.map((node) => ({
      id: node.id,
      address: addressText(node.record),
      state: stateOf(node),
      groups: maps.groups.filter((group) => group.nodes.includes(node.id)).length,
      capacityBytes: node.record.capacityBytes,
      usedBytes: node.usedBytes,
      freeBytes: node.freeBytes,
      blocks: node.blocks,
      silentMillis: Math.round(now - node.heardAt),
      scrub: node.scrub,
    })),
    groups: countGroups(maps, nodes),
    sessions: sessions.all().map((session) => ({
      id: session.id,
      client: session.clientName,
      connected: session.peer !== undefined,
      idleMillis: Math.round(now - session.heardAt),
      leases: leases.held(session),
    })),
    leases: { recalls: leases.statistics.recalls, waitingRequests: leases.statistics.waiting },
    reclaim: { queuedBlocks: reclaim.queuedBlocks },
    conversions: { queued: parts.conversions.queued },
    rewrite: parts.rewriting.statistics,
    repair: parts.repair.status(),
    metadata: { ...parts.metadataScrub.status(), damageReplaced: parts.store.damage.replaced },
    ...(parts.journal === undefined ? {} : { copies: parts.journal.status() }),
    warnings: [...(parts.journal?.warnings() ?? []), ...warnings(parts)],
  };
}

function stateOf({ state, record }: StorageNode): StatusReply["nodes"][number]["state"] {
  if (record.state === "removed") return "removed";
  if (state === "up") return record.state === "draining" ? "draining" : "up";
  return record.out ? "out" : "down";
}

function countGroups(maps: ClusterMaps, nodes: Nodes): StatusReply["groups"] {
  const groups = { healthy: 0, degraded: 0, lost: 0 };
  for (const group of maps.groups) {
    const wanted = maps.replicasOf(group.group) ?? group.nodes.length;
    groups[healthOf(group, wanted, (id) => nodes.get(id)?.state === "up").health]++;
  }
  return groups;
}

function warnings(parts: {
  store: MetadataStore;
  nodes: Nodes;
  maps: ClusterMaps;
  allocation: Allocation;
  capacity: Capacity;
  sessions: Sessions;
  repair: Repair;
  refused: RefusedNodes;
}): string[] {
  const { nodes, maps, allocation, capacity, sessions, repair } = parts;
  const found: string[] = parts.refused.list();
  const damage = parts.store.damage.problem;
  if (damage !== undefined) found.push(`the name server's disk has damaged the metadata: ${damage}`);
  const problem = allocation.problem();
  if (problem !== undefined) found.push(problem);
  found.push(...nodeWarnings(nodes, maps, repair));
  const { degraded, lost } = countGroups(maps, nodes);
  if (degraded > 0) found.push(`${String(degraded)} of ${String(maps.groups.length)} groups miss a replica`);
  if (lost > 0)
    found.push(
      `${String(lost)} of ${String(maps.groups.length)} groups have no node that is up: their blocks cannot be read`,
    );
  const narrow = maps.groups.filter(({ group, nodes: members }) => members.length < (maps.replicasOf(group) ?? 0));
  if (narrow.length > 0)
    found.push(
      `${String(narrow.length)} groups have fewer nodes than replicas: what is written now is stored fewer times ` +
        "(--min-replicas), and completed when storage nodes are back",
    );
  if (problem === undefined && !allocation.hasSpace({ avoid: [] }))
    found.push("the storage nodes are full: block writes fail");
  if (capacity.space().metadataFull) found.push("the name server's disk is down to its reserve: nothing may grow");
  for (const { id, scrub } of nodes.all()) {
    if (scrub !== undefined && scrub.left > 0)
      found.push(`storage node ${id} has ${String(scrub.left)} damaged blocks that are not repaired yet`);
  }
  const awaited = sessions.all().filter((session) => session.awaited).length;
  if (awaited > 0)
    found.push(`${String(awaited)} clients from before the restart have not come back yet: everything waits for them`);
  return found;
}

function nodeWarnings(nodes: Nodes, maps: ClusterMaps, repair: Repair): string[] {
  const found: string[] = [];
  const silent = repair.waitsFor();
  const name = (node: StorageNode): string => `${node.id} at ${addressText(node.record)}`;
  if (silent.length > 0) {
    const expected = nodes.all().filter(({ record }) => !isGone(record)).length;
    const whom = silent.map(name).join(", ");
    found.push(`${String(silent.length)} of ${String(expected)} storage nodes are silent: repair waits for ${whom}`);
  }
  for (const node of nodes.all()) {
    if (node.record.state === "removed") continue;
    const groups = maps.groups.filter((group) => group.nodes.includes(node.id)).length;
    if (node.record.state === "draining") {
      found.push(
        groups > 0
          ? `storage node ${name(node)} is being drained: ${String(groups)} groups to go`
          : `storage node ${name(node)} is drained: dfs node remove ${node.id}`,
      );
    }
    if (node.state === "up") continue;
    if (!node.record.out) found.push(`storage node ${name(node)} is down`);
    else if (groups > 0)
      found.push(`storage node ${name(node)} is out, and ${String(groups)} groups find no other member for its place`);
  }
  const { lostBlocks, lost } = repair.status();
  if (lostBlocks > 0)
    found.push(
      `${String(lostBlocks)} blocks have no undamaged copy on any storage node; dfs fsck --data names their files: ` +
        lost.join(", "),
    );
  return found;
}
