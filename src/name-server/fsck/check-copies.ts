/**
 * Blocks on their nodes: every block record is at every whole member of its group, long enough and, if asked for, with the
 * right content. Reads the living store, because reading all data takes longer than a state can be pinned: what a node
 * seems to lack is looked at again in the store after the node has answered, and counts only if the group is as it was.
 *
 * A node that is down, or that does not answer, is no error of the filesystem: what could not be looked at is told.
 */
import { blockName, type BlockId, type GroupId, type NodeId } from "../../base/ids.ts";
import { limits } from "../../base/limits.ts";
import { keys } from "../../metadata-store/keys.ts";
import type { Key, MetadataStore } from "../../metadata-store/types.ts";
import type { PlacementGroup } from "../../protocol/types.ts";
import type { ClusterMaps } from "../cluster-map.ts";
import type { Nodes } from "../nodes.ts";
import { blockRecords, compareBlocks, queuedNumbers, type Numbered } from "../repair/compare.ts";
import type { Orders } from "../repair/orders.ts";
import type { Pace } from "../repair/pace.ts";

export interface CopiesParts {
  readonly store: MetadataStore;
  readonly maps: Pick<ClusterMaps, "groups" | "group">;
  readonly nodes: Nodes;
  readonly orders: Orders;
  /** Repair's: copies are read and made as fast as clients allow. */
  readonly pace: Pick<Pace, "paced">;
}

export interface CopiesRequest {
  /** Whether content is read and verified. */
  readonly data: boolean;
  /** The blocks to look at; undefined: all. */
  readonly only: ReadonlySet<Key> | undefined;
  /** Aborted: it does not pause for clients any longer. */
  readonly signal: AbortSignal;
  pause(): Promise<void>;
  /** At the beginning of each group. */
  progress(done: number, all: number): void;
}

/** A copy that is not as it must be. */
export interface BadCopy {
  readonly node: NodeId;
  readonly block: BlockId;
  readonly length: number;
  readonly problem: "is missing" | "is damaged";
}

export interface Copies {
  readonly bad: readonly BadCopy[];
  /** Bad ones beyond the bound on memory. */
  readonly untold: number;
  readonly notes: readonly string[];
  /** Copies that were found right. */
  readonly looked: number;
}

const pageBlocks = 512;
/** Read and verified by one order: a node may take a while for each. */
const dataBlocks = 8;
/** A group whose members change all the time is looked at so often. */
const attemptsMax = 4;

export async function checkCopies(parts: CopiesParts, request: CopiesRequest): Promise<Copies> {
  const bad: BadCopy[] = [];
  const unlooked = new Map<string, number>();
  let untold = 0;
  let looked = 0;
  let unnamed = 0;
  const { groups } = parts.maps;
  for (const [done, { group: id }] of groups.entries()) {
    request.progress(done, groups.length);
    for (let attempt = 1; ; attempt++) {
      const group = parts.maps.group(id);
      if (group === undefined) break;
      const members = group.nodes.filter((node) => !group.copying.includes(node));
      const found = await Promise.all(members.map((node) => checkMember(parts, request, group, node)));
      // Members that came or went in between: what was seen belongs to no one state.
      if (parts.maps.group(id)?.epoch !== group.epoch && attempt < attemptsMax) continue;
      for (const one of found) {
        for (const copy of one.bad)
          if (bad.length < limits.fsckFindingsMax) bad.push(copy);
          else untold++;
        looked += one.looked;
        unnamed += one.unnamed;
        if (one.problem !== undefined) unlooked.set(one.problem, (unlooked.get(one.problem) ?? 0) + one.left);
      }
      break;
    }
  }
  const notes = [...unlooked]
    .filter(([, blocks]) => blocks > 0)
    .map(([problem, blocks]) => `${problem}: ${String(blocks)} copies were not looked at`);
  const copying = groups.filter((group) => group.copying.length > 0).length;
  if (copying > 0) notes.push(`${String(copying)} groups have members that are still copying`);
  if (unnamed > 0) notes.push(`${String(unnamed)} copies of blocks that nothing names: they will be deleted`);
  return { bad, untold, notes, looked };
}

interface Member {
  readonly bad: BadCopy[];
  looked: number;
  unnamed: number;
  /** Why it could not be looked at from somewhere on, and how many blocks that are. */
  problem: string | undefined;
  left: number;
}

async function checkMember(
  parts: CopiesParts,
  request: CopiesRequest,
  { group: id }: PlacementGroup,
  node: NodeId,
): Promise<Member> {
  const { store, nodes, orders } = parts;
  const member: Member = { bad: [], looked: 0, unnamed: 0, problem: undefined, left: 0 };
  const isWanted = (number: number): boolean => request.only?.has(keys.block({ group: id, number })) !== false;
  for (let first = 0; first < Infinity;) {
    await request.pause();
    const records = blockRecords(store, id, first, pageBlocks);
    if (member.problem === undefined && nodes.get(node)?.state !== "up")
      member.problem = `storage node ${node} is down`;
    if (member.problem !== undefined) {
      member.left += records.filter(({ number }) => isWanted(number)).length;
      first = records.length < pageBlocks ? Infinity : (records.at(-1)?.number ?? Infinity) + 1;
      continue;
    }
    try {
      const held = await orders.list(node, id, first, pageBlocks);
      const queued = (): ReadonlySet<number> => queuedNumbers(store, id);
      const { to, lacking, unnamed } = compareBlocks(store, id, { limit: pageBlocks, records, held, queued });
      member.unnamed += unnamed.length;
      const absent = new Set(lacking.map(({ number }) => number));
      const wanted = records.filter(({ number }) => number <= to && isWanted(number));
      for (const { number, length } of wanted) {
        if (absent.has(number)) member.bad.push({ node, block: { group: id, number }, length, problem: "is missing" });
      }
      const there = wanted.filter(({ number }) => !absent.has(number));
      if (request.data) await checkContent(parts, request, { id, node, there, member });
      member.looked += there.length;
      first = to + 1;
    } catch (error) {
      await request.pause();
      member.problem = `storage node ${node} did not answer (${error instanceof Error ? error.message : String(error)})`;
    }
  }
  return member;
}

/** A node that is told to copy from nobody verifies what it has. */
async function checkContent(
  { store, orders, pace }: CopiesParts,
  request: CopiesRequest,
  { id, node, there, member }: { id: GroupId; node: NodeId; there: readonly Numbered[]; member: Member },
): Promise<void> {
  for (let at = 0; at < there.length; at += dataBlocks) {
    await request.pause();
    const blocks = there
      .slice(at, at + dataBlocks)
      .map(({ number, length }) => ({ block: { group: id, number }, length }));
    await pace.paced(async () => {
      const { failed, foreground } = await orders.copy(node, blocks, []);
      for (const { block } of failed) {
        const wanted = blocks.find((one) => one.block.number === block.number);
        if (wanted === undefined || store.get(keys.block(block)) === undefined) continue;
        member.bad.push({ node, ...wanted, problem: "is damaged" });
      }
      return foreground;
    }, request.signal);
  }
}

/** For people. `bad`: all bad copies of one block. */
export function copyText({ maps, nodes }: Pick<CopiesParts, "maps" | "nodes">, bad: readonly BadCopy[]): string {
  const [first] = bad;
  if (first === undefined) return "";
  const name = blockName(first.block);
  const group = maps.group(first.block.group);
  const members = group?.nodes.filter((node) => !group.copying.includes(node)) ?? [];
  const others = members.filter((node) => !bad.some((copy) => copy.node === node));
  const where = bad.map(({ node, problem }) => `${problem} on node ${node}`).join(", ");
  if (others.length === 0)
    return `block ${name} is lost, that part cannot be read: it ${where}, and is on no other node`;
  const down = others.filter((node) => nodes.get(node)?.state !== "up");
  const rest = down.length === others.length ? `; only nodes that are down may have it (${down.join(", ")})` : "";
  return `block ${name} ${where}${rest}`;
}
