/**
 * Nodes that registered, and members that left a group: what they hold is compared with what they should. A member that
 * lacks something copies it; what nobody names is deleted; what a former member holds is deleted once all members have it,
 * or makes it a member again while somebody else still copies.
 *
 * Invariants: a node never deletes by itself; what is deleted of a former member is, at that moment, listed by every
 * member, in a group in which nobody copies and all are up, and the group does not change meanwhile.
 */
import type { Clock } from "../../base/clock.ts";
import type { BlockId, GroupId, NodeId } from "../../base/ids.ts";
import type { Log } from "../../base/log.ts";
import type { PlacementGroup } from "../../protocol/types.ts";
import { keys } from "../../metadata-store/keys.ts";
import { isGone, type StorageNode } from "../storage-node.ts";
import { blockRecords, compareBlocks, queuedNumbers, type Comparison } from "./compare.ts";
import type { CopierParts } from "./copier.ts";
import type { Suspects } from "./suspects.ts";

export interface Reconciliation {
  /** To be compared, soon: it left these groups. */
  left(node: NodeId, group: GroupId): void;
  /** It is back, and may become a member again of those of the groups that miss a copy. */
  returned(node: NodeId, groups: Iterable<GroupId>): void;
  /** To be compared some time, whether it is a member or not. */
  look(node: NodeId, group: GroupId): void;
  /** Compares what is due. */
  tick(signal: AbortSignal): Promise<void>;
  /** Whether the group's members must not change now. */
  isBusy(group: GroupId): boolean;
  /** Whether a node that is up may yet become a member again of groups that it left. */
  readonly isReturning: boolean;
  /** Pairs of node and group that are to be compared, of nodes that are up. */
  readonly waiting: number;
}

interface Asked {
  readonly mayReturn: boolean;
  readonly delayMillis?: number;
}

interface Due {
  readonly at: number;
  readonly mayReturn: boolean;
}

interface Outcome {
  readonly isDone: boolean;
  /** When to look again. */
  readonly pauseMillis?: number;
}

const pageBlocks = 1_024;
const deleteBatch = 1_024;
/** A former member's blocks, while the group is not whole; and what a session may yet name. */
const waitMillis = 5_000;
const welcomeMillis = 1_000;
const openMillis = 60_000;
const done: Outcome = { isDone: true };

export function createReconciliation(
  parts: Pick<CopierParts, "store" | "maps" | "nodes" | "orders" | "pace" | "discard"> & {
    clock: Clock;
    log: Log;
    suspects: Suspects;
    /** Members have changed; who has left is compared too. */
    left: (node: NodeId, group: GroupId) => void;
    /** Whether a node that is back is to be a further member of a group that is whole without it. */
    welcome: (node: StorageNode, group: PlacementGroup) => "now" | "later" | "no";
  },
): Reconciliation {
  const { store, maps, nodes, orders, pace, clock, log, suspects } = parts;
  const waiting = new Map<NodeId, Map<GroupId, Due>>();
  const busy = new Set<GroupId>();
  let running: Promise<void> | undefined;

  function add(node: NodeId, groups: Iterable<GroupId>, { mayReturn, delayMillis = 0 }: Asked): void {
    let due = waiting.get(node);
    if (due === undefined) waiting.set(node, (due = new Map<GroupId, Due>()));
    for (const group of groups) due.set(group, { at: clock.monotonicMillis() + delayMillis, mayReturn });
  }

  async function compare(node: StorageNode, id: GroupId, mayReturn: boolean, signal: AbortSignal): Promise<Outcome> {
    const group = maps.group(id);
    if (group === undefined) return done;
    if (group.nodes.includes(node.id)) return compareMember(node, id, signal);
    if ((await orders.list(node.id, id, 0, 1)).length === 0) return done;
    if (mayReturn && (await takeBack(node, id))) return { isDone: false };
    if (!isWhole(group)) return { isDone: false, pauseMillis: waitMillis };
    if (mayReturn) {
      const welcome = await comeBack(node, group);
      if (welcome !== "no") return { isDone: false, pauseMillis: welcomeMillis };
    }
    busy.add(id);
    try {
      return await emptyFormer(node, group, signal);
    } finally {
      busy.delete(id);
    }
  }

  /** A page of the node's blocks, compared; paced. */
  async function page(node: StorageNode, group: GroupId, first: number, signal: AbortSignal): Promise<Comparison> {
    let found: Comparison = { to: Infinity, lacking: [], unnamed: [], open: [] };
    await pace.paced(async () => {
      const records = blockRecords(store, group, first, pageBlocks);
      const held = await orders.list(node.id, group, first, pageBlocks);
      let numbers: ReadonlySet<number> | undefined;
      const queued = (): ReadonlySet<number> => (numbers ??= queuedNumbers(store, group));
      found = compareBlocks(store, group, { limit: pageBlocks, records, held, queued });
      return 0;
    }, signal);
    return found;
  }

  async function compareMember(node: StorageNode, id: GroupId, signal: AbortSignal): Promise<Outcome> {
    let isLacking = false;
    for (let first = 0; first !== Infinity && !signal.aborted;) {
      const { to, lacking, unnamed } = await page(node, id, first, signal);
      if (unnamed.length > 0) {
        log.warn({ node: node.id, group: id, blocks: unnamed.length }, "a storage node has blocks that nobody names");
        await parts.discard(unnamed.map((number) => ({ group: id, number })));
      }
      if (lacking.length > 0 && !isLacking) {
        isLacking = true;
        await maps.changeMembers([id], ({ nodes: members, copying }) =>
          members.includes(node.id) && !copying.includes(node.id)
            ? { nodes: members, copying: [...copying, node.id] }
            : undefined,
        );
        log.warn({ node: node.id, group: id, blocks: lacking.length }, "a storage node lacks blocks: it copies them");
      }
      first = to + 1;
    }
    return done;
  }

  /** As many members as wanted have everything, and are there. */
  function isWhole({ group, nodes: members, copying }: PlacementGroup): boolean {
    return (
      copying.length === 0 &&
      members.length >= (maps.replicasOf(group) ?? members.length) &&
      members.every((member) => nodes.get(member)?.state === "up")
    );
  }

  /** The node is one member more of a group that is whole; then the one leaves that is needed least. */
  async function comeBack(node: StorageNode, group: PlacementGroup): Promise<"now" | "later" | "no"> {
    if (parts.welcome(node, group) === "no") return "no";
    let welcome: "now" | "later" | "no" = "later";
    await maps.changeMembers([group.group], (now) => {
      welcome = parts.welcome(node, now);
      const isAsBefore = now.epoch === group.epoch && isWhole(now);
      if (welcome !== "now" || !isAsBefore) return undefined;
      return { nodes: [...now.nodes, node.id], copying: [node.id] };
    });
    return welcome;
  }

  /** The node comes back into a group that misses a copy, in an empty place or that of one that still copies. */
  async function takeBack(node: StorageNode, id: GroupId): Promise<boolean> {
    const group = maps.group(id);
    const wanted = maps.replicasOf(id) ?? 0;
    const misses = group !== undefined && (group.copying.length > 0 || group.nodes.length < wanted);
    if (!misses || node.state !== "up" || node.record.state !== "member" || isGone(node.record)) return false;
    if ((await orders.list(node.id, id, 0, 1)).length === 0) return false;
    let left: NodeId | undefined;
    const changed = await maps.changeMembers([id], ({ nodes: members, copying }, replicas) => {
      left = undefined;
      if (busy.has(id) || members.includes(node.id) || members.length - copying.length >= replicas) return undefined;
      if (members.length < replicas) return { nodes: [...members, node.id], copying: [...copying, node.id] };
      left = copying.find((member) => nodes.get(member)?.state !== "up") ?? copying[0];
      if (left === undefined) return undefined;
      const leaver = left;
      return {
        nodes: members.map((member) => (member === leaver ? node.id : member)),
        copying: [...copying.filter((member) => member !== leaver), node.id],
      };
    });
    if (changed.length === 0) return false;
    log.info({ node: node.id, group: id, instead: left }, "a storage node is back in a group that it had left");
    if (left !== undefined) parts.left(left, id);
    return true;
  }

  async function emptyFormer(node: StorageNode, group: PlacementGroup, signal: AbortSignal): Promise<Outcome> {
    const id = group.group;
    let isDone = true;
    for (let first = 0; first !== Infinity && !signal.aborted;) {
      const listed = await orders.list(node.id, id, first, pageBlocks);
      const last = listed.length < pageBlocks ? Infinity : (listed.at(-1)?.number ?? Infinity);
      const members = await Promise.all(group.nodes.map((member) => orders.numbers(member, id, first, last)));
      const { unnamed, open } = compareBlocks(store, id, {
        ...{ limit: Infinity, records: [], held: listed },
        queued: () => noNumbers,
      });
      const unnamedOnes = new Set(unnamed);
      const openOnes = new Set(open);
      const deletable: BlockId[] = [];
      for (const { number } of listed) {
        const block = { group: id, number };
        const lacking = group.nodes.filter((_, i) => members[i]?.has(number) !== true);
        if (openOnes.has(number)) isDone = false;
        else if (unnamedOnes.has(number) || lacking.length === 0) deletable.push(block);
        else {
          isDone = false;
          if (store.get(keys.block(block)) !== undefined)
            for (const member of lacking) suspects.add(member, block, node.id);
        }
      }
      if (isOver(signal) || maps.group(id) !== group) return { isDone: false };
      for (let at = 0; at < deletable.length; at += deleteBatch) {
        await orders.remove(node.id, deletable.slice(at, at + deleteBatch));
      }
      if (deletable.length > 0)
        log.info({ node: node.id, group: id, blocks: deletable.length }, "a former member's blocks are deleted");
      first = last + 1;
    }
    return isDone ? done : { isDone: false, pauseMillis: openMillis };
  }

  /** Before anything is compared: while others copy what the node has. */
  async function takeAllBack(signal: AbortSignal): Promise<void> {
    for (const [id, due] of waiting) {
      const node = nodes.get(id);
      if (node === undefined) continue;
      for (const [group, { at, mayReturn }] of due) {
        if (isOver(signal) || node.state !== "up") break;
        if (!mayReturn || at > clock.monotonicMillis() || maps.group(group)?.nodes.includes(id) === true) continue;
        await takeBack(node, group).catch((error: unknown) => {
          log.warn({ node: id, group, problem: String(error) }, "a storage node could not be taken back now");
        });
      }
    }
  }

  async function work(signal: AbortSignal): Promise<void> {
    await takeAllBack(signal);
    for (const [id, due] of waiting) {
      const node = nodes.get(id);
      if (node === undefined || node.record.state === "removed") waiting.delete(id);
      if (node?.state !== "up") continue;
      for (const [group, { at, mayReturn }] of [...due]) {
        if (isOver(signal) || nodes.get(id)?.state !== "up") return;
        if (at > clock.monotonicMillis()) continue;
        due.delete(group);
        try {
          const outcome = await compare(node, group, mayReturn, signal);
          if (!outcome.isDone) add(id, [group], { mayReturn, delayMillis: outcome.pauseMillis ?? 0 });
        } catch (error) {
          log.warn({ node: id, group, problem: String(error) }, "a storage node could not be compared, trying again");
          add(id, [group], { mayReturn, delayMillis: waitMillis });
        }
      }
      if (due.size === 0) waiting.delete(id);
    }
  }

  return {
    left: (node, group) => {
      add(node, [group], { mayReturn: false });
    },
    returned: (node, groups) => {
      add(node, groups, { mayReturn: true });
    },
    look(node, group) {
      if (waiting.get(node)?.has(group) !== true) add(node, [group], { mayReturn: false });
    },
    isBusy: (group) => busy.has(group),
    tick(signal) {
      running ??= work(signal).finally(() => {
        running = undefined;
      });
      return running;
    },
    get isReturning() {
      for (const [node, due] of waiting) {
        if (nodes.get(node)?.state === "up" && [...due.values()].some(({ mayReturn }) => mayReturn)) return true;
      }
      return false;
    },
    get waiting() {
      let sum = 0;
      for (const [node, due] of waiting) if (nodes.get(node)?.state === "up") sum += due.size;
      return sum;
    },
  };
}

const noNumbers: ReadonlySet<number> = new Set();

/** (A function: it changes across an await, which the compiler does not see.) */
function isOver(signal: AbortSignal): boolean {
  return signal.aborted;
}
