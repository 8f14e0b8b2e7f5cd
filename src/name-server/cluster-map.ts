/**
 * The map that clients place and find blocks by: nodes with their state, groups with their members.
 *
 * Invariants: groups are committed before they are in the map; a map's version is higher than that of any map of this
 * cluster before, also of an earlier run of the server (versions are reserved in the store in stretches).
 */
import { FsError } from "../base/errno.ts";
import type { GroupId } from "../base/ids.ts";
import { toGroupId } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import { groupOfKey, keys } from "../metadata-store/keys.ts";
import { decodeCounter, decodeGroup, encodeCounter, encodeGroup } from "../metadata-store/records.ts";
import type { MetadataStore } from "../metadata-store/types.ts";
import type { ClusterMap, ClusterNode, PlacementGroup } from "../protocol/types.ts";
import type { Execution } from "./execution.ts";
import { groupsWanted, lackGroups, planGroups, type PlacementNode } from "./placement.ts";
import type { Membership } from "./repair/members.ts";

export interface ClusterMaps {
  /**
   * Reads the groups and reserves versions; resolves when that is durable. What was written to groups that have too few
   * members now, when fewer were enough, is refused.
   */
  load(): Promise<void>;
  /** The map as it is now. The same object until something changes. */
  current(): ClusterMap;
  readonly version: number;
  readonly groups: readonly PlacementGroup[];
  group(id: GroupId): PlacementGroup | undefined;
  /** How many copies the blocks of a group are meant to have: never changes. */
  replicasOf(id: GroupId): number | undefined;
  /** How many members a group that is meant to have so many copies must have at least to take blocks. */
  copiesMin(replicas: number): number;
  /** A node came up, went down, moved or joined. */
  changed(): void;
  /**
   * Creates the groups that so many nodes are to have, for every number of copies in use, and gives nodes that are in few
   * groups places in those of which no number was ever handed out. Resolves when that is durable and in the map.
   */
  extend(members: readonly PlacementNode[]): Promise<void>;
  /**
   * Changes members: `change` gets a group as it is then, and returns how it is to be (undefined: as it is). Groups
   * whose members change get a new epoch. Resolves with those that were changed, when that is durable and in the map.
   */
  changeMembers(
    ids: readonly GroupId[],
    change: (group: PlacementGroup, replicas: number) => Membership | undefined,
  ): Promise<GroupId[]>;
  /** There are groups with so many copies from now on. EINVAL: there are not nodes enough. ENOSPC: no room for groups. */
  require(replicas: number, members: readonly PlacementNode[]): Promise<void>;
}

const versionKey = keys.config("mapVersion");
const versionsReserved = 2 ** 20;

export function createClusterMaps(parts: {
  store: MetadataStore;
  execution: Execution;
  replicas: number;
  /** Copies that a block must have at least; absent: all that it is meant to have. */
  minReplicas: number | undefined;
  /** The nodes as the map shows them. */
  nodes: () => readonly ClusterNode[];
  /** Called after every change. */
  onChange: () => void;
}): ClusterMaps {
  const { store, execution, replicas, minReplicas } = parts;
  const groups: PlacementGroup[] = [];
  const byId = new Map<GroupId, PlacementGroup>();
  const replicasById = new Map<GroupId, number>();
  let version = 0;
  let reservedBelow = 0;
  let map: ClusterMap | undefined;
  let extending: Promise<unknown> = Promise.resolve();

  async function reserve(): Promise<void> {
    const from = version;
    reservedBelow = from + versionsReserved;
    await execution.change((transaction) => {
      transaction.put(versionKey, encodeCounter(reservedBelow));
    });
  }

  const copiesMin = (copies: number): number => Math.min(copies, minReplicas ?? copies);

  /** For groups whose members must not take blocks any more as they are. */
  async function endEpochs(ended: readonly PlacementGroup[]): Promise<void> {
    for (let at = 0; at < ended.length; at += groupsPerBatch) {
      await execution.change((transaction) => {
        for (const { group, epoch, nodes, copying } of ended.slice(at, at + groupsPerBatch)) {
          const value = transaction.get(keys.group(group));
          if (value === undefined) continue;
          transaction.put(keys.group(group), encodeGroup({ ...decodeGroup(value), epoch: epoch + 1 }));
          replace({ group, epoch: epoch + 1, nodes, copying });
        }
      });
    }
  }

  function replace(group: PlacementGroup): void {
    groups[groups.findIndex((each) => each.group === group.group)] = group;
    byId.set(group.group, group);
  }

  function changed(): void {
    version++;
    map = undefined;
    parts.onChange();
  }

  function add(group: PlacementGroup, copies: number): void {
    groups.push(group);
    byId.set(group.group, group);
    replicasById.set(group.group, copies);
  }

  async function extendNow(members: readonly PlacementNode[]): Promise<void> {
    for (const copies of new Set([replicas, ...replicasById.values()])) await extendFor(copies, members);
  }

  async function extendFor(copies: number, members: readonly PlacementNode[]): Promise<void> {
    const own = groups.filter(({ group }) => replicasById.get(group) === copies);
    const room = limits.groupsMax - groups.length;
    const further = Math.min(room, Math.max(0, groupsWanted(members.length, copies) - own.length));
    const membersOf = own.map(({ nodes }) => nodes);
    if (further === 0 && lackGroups(membersOf, members, copies).length === 0) return;
    // Nothing has to be copied for a change of those.
    const unused = own.filter(isUnused).slice(0, replannedMax);
    const kept = own.filter((group) => !unused.includes(group)).map(({ nodes }) => nodes);
    const planned = planGroups(kept, members, copies, unused.length + further);
    const first = groups.reduce((next, { group }) => Math.max(next, group + 1), 0);
    const added = planned.splice(0, further).map((nodes, index) => ({ group: toGroupId(first + index), nodes }));
    for (let at = 0; at < added.length; at += groupsPerBatch) {
      await create(added.slice(at, at + groupsPerBatch), copies);
    }
    if (added.length > 0) changed();
    const anew = new Map(unused.map(({ group }, i) => [group, planned[i]]));
    await changeMembersNow([...anew.keys()], (group) => {
      const nodes = anew.get(group.group);
      const isSame = nodes?.every((node, i) => node === group.nodes[i]) === true;
      return nodes === undefined || isSame || !isUnused(group) ? undefined : { nodes, copying: [] };
    });
  }

  async function create(added: readonly Pick<PlacementGroup, "group" | "nodes">[], copies: number): Promise<void> {
    await execution.change((transaction) => {
      for (const { group, nodes } of added) {
        const record = { epoch: 1, nodes, copying: [], replicas: copies, nextNumber: 1 };
        transaction.put(keys.group(group), encodeGroup(record));
      }
    });
    for (const { group, nodes } of added) add({ group, epoch: 1, nodes, copying: [] }, copies);
  }

  /** No number of it was ever handed out. */
  function isUnused({ group }: PlacementGroup): boolean {
    const value = store.get(keys.group(group));
    return value !== undefined && decodeGroup(value).nextNumber === 1;
  }

  async function requireNow(copies: number, members: readonly PlacementNode[]): Promise<void> {
    const has = (): boolean => groups.some(({ group }) => replicasById.get(group) === copies);
    if (has()) return;
    if (members.length < copies) {
      const text = `${String(copies)} copies need ${String(copies)} storage nodes, and there ${members.length === 1 ? "is" : "are"} ${String(members.length)}`;
      throw new FsError("EINVAL", text);
    }
    await extendFor(copies, members);
    if (!has())
      throw new FsError("ENOSPC", `the cluster has ${String(groups.length)} groups: there is no room for more`);
  }

  async function changeMembersNow(
    ids: readonly GroupId[],
    change: (group: PlacementGroup, replicas: number) => Membership | undefined,
  ): Promise<GroupId[]> {
    const done: GroupId[] = [];
    for (let at = 0; at < ids.length; at += groupsPerBatch) {
      const batch = await execution.change((transaction) => {
        const changed: PlacementGroup[] = [];
        for (const id of ids.slice(at, at + groupsPerBatch)) {
          const group = byId.get(id);
          const value = transaction.get(keys.group(id));
          if (group === undefined || value === undefined) continue;
          const record = decodeGroup(value);
          const wanted = change(group, record.replicas);
          if (wanted === undefined) continue;
          const nodes = [...wanted.nodes];
          const hasMoved = nodes.length !== group.nodes.length || nodes.some((node, i) => node !== group.nodes[i]);
          const epoch = hasMoved ? record.epoch + 1 : record.epoch;
          changed.push({ group: id, epoch, nodes, copying: [...wanted.copying] });
          transaction.put(keys.group(id), encodeGroup({ ...record, ...wanted, epoch }));
        }
        return changed;
      });
      for (const group of batch) {
        replace(group);
        done.push(group.group);
      }
    }
    if (done.length > 0) changed();
    return done;
  }

  /** One after the other. */
  function inTurn<T>(run: () => Promise<T>): Promise<T> {
    const mine = extending.then(run);
    extending = mine.catch(() => undefined);
    return mine;
  }

  return {
    get version() {
      return version;
    },
    groups,
    group: (id) => byId.get(id),
    replicasOf: (id) => replicasById.get(id),
    copiesMin,
    changed,

    async load() {
      for (const [key, value] of store.range({ gte: "g", lt: "h" })) {
        const { epoch, nodes, copying, replicas: copies } = decodeGroup(value);
        add({ group: groupOfKey(key), epoch, nodes: [...nodes], copying: [...copying] }, copies);
      }
      const reserved = store.get(versionKey);
      version = reserved === undefined ? 1 : decodeCounter(reserved);
      await reserve();
      await endEpochs(groups.filter(({ group, nodes }) => nodes.length < copiesMin(replicasById.get(group) ?? 0)));
    },

    current() {
      const fewer = minReplicas === undefined ? {} : { minReplicas };
      map ??= { version, replicas, ...fewer, nodes: [...parts.nodes()], groups: [...groups] };
      return map;
    },

    changeMembers: (ids, change) => inTurn(() => changeMembersNow(ids, change)),
    extend: (members) => inTurn(() => extendNow(members)),
    require: (copies, members) => inTurn(() => requireNow(copies, members)),
  };
}

/** Of groups without a number so many are planned anew at a time: enough to be even in a small cluster. */
const replannedMax = 256;
/** A batch stays well within a transaction's bounds. */
const groupsPerBatch = 1_024;
