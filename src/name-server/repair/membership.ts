/**
 * Changes the members of groups: a gone one is replaced at once, and a silent one where writers find no other group; a
 * draining one, one of two on a host and the fullest make way for others a few groups at a time.
 */
import type { GroupId, NodeId } from "../../base/ids.ts";
import { limits } from "../../base/limits.ts";
import type { Log } from "../../base/log.ts";
import type { PlacementGroup } from "../../protocol/types.ts";
import type { ClusterMaps } from "../cluster-map.ts";
import type { Nodes } from "../nodes.ts";
import { isGone, type StorageNode } from "../storage-node.ts";
import { chooseMember, hostsOf, placementNodeOf, type PlacementNode } from "../placement.ts";
import {
  bytesOn,
  isWorthMoving,
  nextMove,
  nextPlace,
  type BalancedNode,
  type Move,
  type SizedGroup,
} from "./balance.ts";
import {
  afterStep,
  healthOf,
  nextStep,
  type Circumstances,
  type Membership as Members,
  type MemberView,
  type Step,
} from "./members.ts";
import type { Rescue } from "./rescue.ts";
import type { Sizes } from "./sizes.ts";

export interface Membership {
  /** Decides and commits what is due. */
  tick(): Promise<void>;
  /**
   * Whether a node that is back, with blocks of a group that is whole without it, is to be a member of it again: now, or
   * when fewer groups change.
   */
  welcome(node: StorageNode, group: PlacementGroup): "now" | "later" | "no";
}

/** Groups changed in one tick: choosing looks at all others. */
const changesPerTick = 256;
/** Groups that have one member more than wanted for the time being. */
const relievedMax = 4;
/** A node that can take less is no candidate. */
const freeBytesMin = 4 * limits.blockBytesMax;

interface Planned {
  readonly group: PlacementGroup;
  readonly step: Step;
  readonly wholeAndUp: number;
}

export function createMembership(parts: {
  maps: ClusterMaps;
  nodes: Nodes;
  sizes: Sizes;
  log: Log;
  /** Had no space for copies lately. */
  isFull: (node: NodeId) => boolean;
  isBusy: (group: GroupId) => boolean;
  /** A node may yet take back places that it had. */
  isReturning: () => boolean;
  left: (node: NodeId, group: GroupId) => void;
  rescue: Rescue;
}): Membership {
  const { maps, nodes, sizes, log } = parts;

  const isUp = (id: NodeId): boolean => nodes.get(id)?.state === "up";
  const replicasOf = ({ group, nodes: members }: PlacementGroup): number => maps.replicasOf(group) ?? members.length;

  function viewIn(group: PlacementGroup): (id: NodeId) => MemberView {
    return (id) => {
      const node = nodes.get(id);
      const cannotFill = group.copying.includes(id) && parts.isFull(id) && candidatesFor(group).length > 0;
      return {
        isUp: node?.state === "up",
        isGone: node === undefined || isGone(node.record) || cannotFill,
        isDraining: node?.record.state === "draining",
        host: node === undefined ? id : placementNodeOf(node).host,
      };
    };
  }

  function circumstancesOf(
    group: PlacementGroup,
    load: Circumstances["load"],
    takers: readonly PlacementNode[],
  ): Circumstances {
    return {
      ...{ view: viewIn(group), load },
      hasHostBeside: (hosts) => takers.some(({ host }) => !hosts.has(host)),
    };
  }

  function candidates(): StorageNode[] {
    return nodes
      .all()
      .filter(
        ({ id, state, record, freeBytes }) =>
          state === "up" &&
          record.state === "member" &&
          !isGone(record) &&
          freeBytes >= freeBytesMin &&
          !parts.isFull(id),
      );
  }

  function candidatesFor(group: PlacementGroup): StorageNode[] {
    return candidates().filter(({ id }) => !group.nodes.includes(id));
  }

  /** How many have one member more than wanted. */
  function relieved(): number {
    return maps.groups.filter((group) => group.nodes.length > replicasOf(group)).length;
  }

  function sized(): SizedGroup[] {
    return maps.groups.map(({ group, nodes: members }) => ({ group, nodes: members, bytes: sizes.of(group) ?? 0 }));
  }

  /** How full a node is, by its groups where they are counted. */
  function loads(): (id: NodeId) => number {
    let bytes: Map<NodeId, number> | undefined;
    return (id) => {
      if (sizes.isComplete) bytes ??= bytesOn(sized());
      const node = nodes.get(id);
      if (node === undefined) return Infinity;
      return (bytes?.get(id) ?? node.usedBytes) / Math.max(1, node.record.capacityBytes);
    };
  }

  function plan(load: (id: NodeId) => number): Planned[] {
    const planned: Planned[] = [];
    const takers = candidates().map(placementNodeOf);
    for (const group of maps.groups) {
      if (parts.isBusy(group.group)) continue;
      const step = nextStep(group, replicasOf(group), circumstancesOf(group, load, takers));
      if (step === undefined) continue;
      if (step.kind !== "drop" && takers.every(({ id }) => group.nodes.includes(id))) continue;
      planned.push({ group, step, wholeAndUp: healthOf(group, replicasOf(group), isUp).wholeAndUp });
    }
    const isPatient = ({ step }: Planned): number => Number(step.kind === "add" && step.why !== "missing");
    planned.sort((a, b) => isPatient(a) - isPatient(b) || a.wholeAndUp - b.wholeAndUp);
    let changing = relieved();
    return planned.filter((each) => isPatient(each) === 0 || changing++ < relievedMax).slice(0, changesPerTick);
  }

  /** Moves that even out how full the nodes are, and in how many groups: only while nothing else is to be done. */
  function movesOf(): Map<GroupId, NodeId> {
    const moves = new Map<GroupId, NodeId>();
    const isQuiet = maps.groups.every(
      (group) => group.copying.length === 0 && group.nodes.length === replicasOf(group) && group.nodes.every(isUp),
    );
    if (!sizes.isComplete || !isQuiet || parts.isReturning()) return moves;
    const takers = candidates();
    if (takers.length < 2) return moves;
    const balanced = takers.map(balancedNodeOf);
    let groups = sized();
    while (moves.size < relievedMax) {
      const move = nextMove(groups, balanced) ?? placeMove(groups, balanced);
      if (move === undefined) break;
      const { group, from, to } = move;
      moves.set(group, to);
      log.info({ ...move }, "a group moves to another storage node");
      groups = groups.map((each) =>
        each.group === group
          ? { ...each, nodes: each.nodes.map((id) => (id === from ? to : id)), bytes: each.bytes }
          : each,
      );
    }
    return moves;
  }

  function placeMove(groups: readonly SizedGroup[], balanced: readonly BalancedNode[]): Move | undefined {
    for (const replicas of new Set(maps.groups.map(replicasOf))) {
      const own = groups.filter(({ group }) => maps.replicasOf(group) === replicas);
      const move = nextPlace(own, replicas, balanced, groups);
      if (move !== undefined) return move;
    }
    return undefined;
  }

  async function commit(planned: readonly Planned[], load: (id: NodeId) => number): Promise<void> {
    const takers = candidates().map(placementNodeOf);
    const byReplicas = new Map<number, (readonly NodeId[])[]>();
    const listFor = (replicas: number): (readonly NodeId[])[] => {
      let list = byReplicas.get(replicas);
      if (list === undefined) {
        list = maps.groups.filter((group) => replicasOf(group) === replicas).map((group) => group.nodes);
        byReplicas.set(replicas, list);
      }
      return list;
    };
    const gone: [NodeId, GroupId][] = [];
    await maps.changeMembers(
      planned.map(({ group }) => group.group),
      (group, replicas) => {
        const step = parts.isBusy(group.group)
          ? undefined
          : nextStep(group, replicas, circumstancesOf(group, load, takers));
        if (step === undefined) return undefined;
        const joiner = step.kind === "drop" ? undefined : chosen(group, step, takers, listFor(replicas));
        const after: Members = afterStep(group, step, joiner);
        if (after === group) return undefined;
        listFor(replicas).push(after.nodes);
        if (step.kind !== "add") gone.push([step.leaver, group.group]);
        return after;
      },
    );
    for (const [node, group] of gone) parts.left(node, group);
    log.info({ groups: planned.length }, "groups have other members");
  }

  function chosen(
    group: PlacementGroup,
    step: Step,
    takers: readonly PlacementNode[],
    groups: readonly (readonly NodeId[])[],
  ): NodeId | undefined {
    const leaver = step.kind === "add" ? undefined : step.leaver;
    const staying = group.nodes
      .filter((id) => id !== leaver)
      .map((id) => nodes.get(id))
      .filter((node) => node !== undefined)
      .map(placementNodeOf);
    const others = takers.filter(({ id }) => id !== leaver);
    const joiner = chooseMember(staying, others, groups);
    const isInVain =
      step.kind === "add" &&
      step.why === "together" &&
      hostsOf(staying) === hostsOf([...staying, ...(joiner === undefined ? [] : [joiner])]);
    return isInVain ? undefined : joiner?.id;
  }

  async function move(moves: ReadonlyMap<GroupId, NodeId>): Promise<void> {
    await maps.changeMembers([...moves.keys()], (group, replicas) => {
      const joiner = moves.get(group.group);
      const isAsBefore = group.copying.length === 0 && group.nodes.length === replicas;
      if (joiner === undefined || !isAsBefore || group.nodes.includes(joiner) || parts.isBusy(group.group))
        return undefined;
      return afterStep(group, { kind: "add", why: "missing" }, joiner);
    });
  }

  return {
    welcome(node, group) {
      if (!candidates().includes(node) || parts.isBusy(group.group)) return "no";
      const members = group.nodes.map((id) => nodes.get(id)).filter((member) => member !== undefined);
      const placed = members.map(placementNodeOf);
      const isApart = hostsOf([...placed, placementNodeOf(node)]) > hostsOf(placed) && hostsOf(placed) < placed.length;
      const among = [...members, node].map(balancedNodeOf);
      if (!isApart && !isWorthMoving(group.group, balancedNodeOf(node), sized(), among)) return "no";
      return relieved() < relievedMax ? "now" : "later";
    },

    async tick() {
      if (await parts.rescue.run(candidates().map(placementNodeOf))) return;
      const load = loads();
      const planned = plan(load);
      if (planned.length > 0) {
        await commit(planned, load);
        return;
      }
      const moves = movesOf();
      if (moves.size > 0) await move(moves);
    },
  };
}

function balancedNodeOf(node: StorageNode): BalancedNode {
  return { ...placementNodeOf(node), capacityBytes: node.record.capacityBytes };
}
