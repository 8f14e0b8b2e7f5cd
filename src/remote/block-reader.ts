/**
 * Reads blocks from whatever replica gives them: the least loaded first, the next one when it fails or is slow. Every
 * unit is verified against the checksums that the node stored with it.
 */
import { sleep, type Clock } from "../base/clock.ts";
import { FsError } from "../base/errno.ts";
import { blockName, type BlockId, type NodeId } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import type { PlacementGroup } from "../protocol/types.ts";
import type { Payload } from "../rpc/types.ts";
import type { NodePool } from "./node-pool.ts";
import type { NodeReports } from "./node-reports.ts";
import { readFromReplicas, type Failures } from "./replica-round.ts";
import type { BlockReader, NameServer } from "./types.ts";

export interface BlockReaderOptions {
  readonly nameServer: Pick<NameServer, "ask" | "map">;
  readonly nodes: NodePool;
  readonly reports: NodeReports;
  readonly clock: Clock;
  readonly log: Log;
}

const pauseMillisFirst = 100;
const pauseMillisMax = 2_000;
/** With a member that cannot be asked: how long "no such block" of all others is doubted. */
const missingMillis = limits.reclaimGraceMillis;
/** A member that copies comes after every other one that is up, and before those that are down and suspect. */
const copyingIsPoor = 1.5;
/** Rounds in which every member answered and none had the bytes. */
const damagedRoundsMax = 2;

export function createBlockReader(options: BlockReaderOptions): BlockReader {
  const { nameServer, nodes, reports, clock, log } = options;
  let rotation = 0;

  /** Members of the group in the order in which to ask them. */
  function replicas(group: PlacementGroup): NodeId[] {
    const ids = group.nodes;
    if (ids.length === 1) return [...ids];
    const first = rotation++ % ids.length;
    const rotated = [...ids.slice(first), ...ids.slice(0, first)];
    const weighed = rotated.map((id) => ({
      id,
      poor: isPoor(id) + (group.copying.includes(id) ? copyingIsPoor : 0),
      load: nodes.bytesInFlight(id),
    }));
    weighed.sort((a, b) => a.poor - b.poor || a.load - b.load);
    return weighed.map(({ id }) => id);
  }

  function isPoor(id: NodeId): number {
    const isUp = nameServer.map.nodes.some((node) => node.id === id && node.state === "up");
    return (isUp ? 0 : 1) + (nodes.isSuspect(id) ? 1 : 0);
  }

  async function groupOf(block: BlockId, signal: AbortSignal | undefined): Promise<PlacementGroup> {
    const find = (): PlacementGroup | undefined => findGroup(nameServer.map.groups, block.group);
    const found = find();
    if (found !== undefined) return found;
    await nameServer.ask("clusterMap", {}, signal === undefined ? {} : { signal });
    const later = find();
    if (later === undefined) throw new FsError("EIO", `block ${blockName(block)}: the cluster has no such group`);
    return later;
  }

  async function lend(block: BlockId, offset: number, length: number, signal?: AbortSignal): Promise<Payload> {
    const start = clock.monotonicMillis();
    let pause = pauseMillisFirst;
    let damagedRounds = 0;
    for (;;) {
      const group = findGroup(nameServer.map.groups, block.group) ?? (await groupOf(block, signal));
      const outcome = await readFromReplicas(
        { nodes, reports, clock },
        { block, offset, length, replicas: replicas(group), copying: group.copying, signal },
      );
      if ("bytes" in outcome) return outcome;
      const waited = clock.monotonicMillis() - start;
      if (outcome.unreachable.length === 0 && outcome.damaged.length > 0) damagedRounds++;
      const unreachable = outcome.unreachable.filter((id) => !group.copying.includes(id));
      const isWanted = outcome.missing.length === 0;
      const error = verdict(block, isWanted ? outcome : { ...outcome, unreachable }, waited, damagedRounds);
      if (error !== undefined) {
        if (error.errno === "EIO") log.error({ block: blockName(block), ...outcome }, "a block could not be read");
        throw error;
      }
      await sleep(clock, pause, signal);
      pause = Math.min(pause * 2, pauseMillisMax);
    }
  }

  return {
    lend,
    async read(block, offset, length, signal) {
      return (await lend(block, offset, length, signal)).bytes;
    },
  };
}

/** What to say after a round without success, or undefined to go on trying. */
function verdict(block: BlockId, failures: Failures, waitedMillis: number, damagedRounds: number): FsError | undefined {
  const { missing, damaged, unreachable } = failures;
  const name = blockName(block);
  const isMissing = missing.length > 0 && damaged.length === 0;
  if (isMissing && (unreachable.length === 0 || waitedMillis >= missingMillis)) {
    return new FsError("ENOENT", `block ${name} is on none of ${missing.join(", ")}`);
  }
  if (damagedRounds >= damagedRoundsMax) {
    return new FsError("EIO", `block ${name} is damaged on ${damaged.join(", ")}`);
  }
  if (waitedMillis >= limits.blockWriteMillis) {
    return new FsError("EIO", `block ${name}: ${unreachable.join(", ")} cannot be reached`);
  }
  return undefined;
}

/** Groups are mostly numbered from 0 in order: then no search is needed. */
function findGroup(groups: readonly PlacementGroup[], id: number): PlacementGroup | undefined {
  const direct = groups[id];
  return direct?.group === id ? direct : groups.find(({ group }) => group === id);
}
