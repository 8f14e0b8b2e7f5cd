/**
 * What becomes of groups when writers find none that they may use, because every one has a member that is silent. In a few
 * of them others take the places of the silent ones at once, under a new epoch, wherever they are; and where there are too
 * few others, the places stay empty, as long as the copies that are left are as many as have to be.
 *
 * What always holds: a member that is whole and up stays. The silent ones keep what they have, and are taken back.
 */
import type { GroupId, NodeId } from "../../base/ids.ts";
import type { Log } from "../../base/log.ts";
import type { ClusterMaps } from "../cluster-map.ts";
import type { Nodes } from "../nodes.ts";
import type { StorageNode } from "../storage-node.ts";
import { chooseMember, placementNodeOf, type PlacementNode } from "../placement.ts";
import type { Membership } from "./members.ts";
import type { Sizes } from "./sizes.ts";

export interface Rescue {
  /** Changes what is to be changed, and resolves with whether that was anything. `takers`: who may join. */
  run(takers: readonly PlacementNode[]): Promise<boolean>;
}

export function createRescue(parts: {
  maps: ClusterMaps;
  nodes: Nodes;
  sizes: Sizes;
  log: Log;
  isBusy: (group: GroupId) => boolean;
  /** It is down, and for longer than a restart takes. */
  isSilent: (node: StorageNode) => boolean;
  /** It left, but is expected back. */
  left: (node: NodeId, group: GroupId) => void;
}): Rescue {
  const { maps, nodes, sizes, log } = parts;

  function memberOf(id: NodeId): RescueMember | undefined {
    const node = nodes.get(id);
    if (node === undefined) return undefined;
    return { placement: placementNodeOf(node), isUp: node.state === "up", isSilent: parts.isSilent(node) };
  }

  function plan(takers: readonly PlacementNode[]): Map<GroupId, Membership> {
    const byReplicas = new Map<number, RescuedGroup[]>();
    for (const group of maps.groups) {
      const replicas = maps.replicasOf(group.group) ?? group.nodes.length;
      const own = byReplicas.get(replicas);
      const sized = { ...group, bytes: sizes.of(group.group) };
      if (own === undefined) byReplicas.set(replicas, [sized]);
      else own.push(sized);
    }
    const planned = new Map<GroupId, Membership>();
    for (const [replicas, groups] of byReplicas) {
      const around = { replicas, copiesMin: maps.copiesMin(replicas), takers, member: memberOf };
      for (const [group, after] of planRescue(groups, around)) planned.set(group, after);
    }
    return planned;
  }

  return {
    async run(takers) {
      const planned = plan(takers);
      if (planned.size === 0) return false;
      const gone: [NodeId, GroupId][] = [];
      const before = new Map([...planned.keys()].map((group) => [group, maps.group(group)]));
      const changed = await maps.changeMembers([...planned.keys()], (group) => {
        const after = planned.get(group.group);
        const isPossible = after?.nodes.every((id) => nodes.get(id)?.state === "up") === true;
        const isAsBefore = before.get(group.group) === group && !parts.isBusy(group.group);
        if (after === undefined || !isPossible || !isAsBefore) return undefined;
        for (const id of group.nodes) if (!after.nodes.includes(id)) gone.push([id, group.group]);
        return after;
      });
      for (const [node, group] of gone) parts.left(node, group);
      if (changed.length > 0)
        log.warn({ groups: changed.length }, "no group took blocks: some go on without their silent members");
      return changed.length > 0;
    },
  };
}

export interface RescuedGroup extends Membership {
  readonly group: GroupId;
  /** Undefined: not counted yet. */
  readonly bytes: number | undefined;
}

export interface RescueMember {
  readonly placement: PlacementNode;
  readonly isUp: boolean;
  /** Down, and for longer than a restart takes. */
  readonly isSilent: boolean;
}

/** So many groups are enough for writers; what repair has to copy for each is much. */
const rescuedMax = 8;

/**
 * The new members of some of the groups, which are all with so many replicas. Nothing while there is a group that takes
 * blocks. `copiesMin`: members that a group must have to take blocks; `takers`: who may join.
 */
export function planRescue(
  groups: readonly RescuedGroup[],
  parts: {
    readonly replicas: number;
    readonly copiesMin: number;
    readonly takers: readonly PlacementNode[];
    readonly member: (id: NodeId) => RescueMember | undefined;
  },
): Map<GroupId, Membership> {
  const { copiesMin, member } = parts;
  const isUp = (id: NodeId): boolean => member(id)?.isUp === true;
  const planned = new Map<GroupId, Membership>();
  if (groups.some(({ nodes }) => nodes.length >= copiesMin && nodes.every(isUp))) return planned;
  const listed = groups.map(({ nodes }) => nodes);
  const sorted = [...groups].sort((a, b) => (a.bytes ?? Infinity) - (b.bytes ?? Infinity) || a.group - b.group);
  const shrunk: [GroupId, Membership][] = [];
  for (const group of sorted) {
    if (planned.size === rescuedMax || shrunk.length === rescuedMax) break;
    const after = rescued(group, listed, parts);
    if (after === undefined) continue;
    listed.push(after.nodes);
    if (after.nodes.length < parts.replicas) shrunk.push([group.group, after]);
    else planned.set(group.group, after);
  }
  return planned.size > 0 ? planned : new Map(shrunk);
}

function rescued(
  { nodes, copying }: RescuedGroup,
  groups: readonly (readonly NodeId[])[],
  { replicas, copiesMin, takers, member }: Parameters<typeof planRescue>[1],
): Membership | undefined {
  const staying = nodes.filter((id) => member(id)?.isSilent === false);
  const whole = staying.filter((id) => !copying.includes(id));
  const areUp = staying.every((id) => member(id)?.isUp === true);
  if (whole.length === 0 || !areUp || staying.length === nodes.length) return undefined;
  const members = staying.map((id) => member(id)?.placement).filter((node) => node !== undefined);
  const joined: NodeId[] = [];
  while (members.length < replicas) {
    const joiner = chooseMember(members, takers, groups);
    if (joiner === undefined) break;
    members.push(joiner);
    joined.push(joiner.id);
  }
  if (members.length < copiesMin) return undefined;
  return {
    nodes: [...staying, ...joined],
    copying: [...copying.filter((id) => staying.includes(id)), ...joined],
  };
}
