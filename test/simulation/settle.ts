/**
 * Once every process is there and every link whole: the cluster makes itself whole again, without anybody's help. Then
 * every copy of a block is right, and all copies of it are equal.
 */
import { errnoOf } from "../../src/base/errno.ts";
import { blockName, type BlockId } from "../../src/base/ids.ts";
import type { BlockStore } from "../../src/block-store/types.ts";
import type { StatusReply } from "../../src/protocol/status.ts";
import { asOperator, fsck, orderScrub } from "./operator.ts";
import type { World } from "./world.ts";

/** Longer than copies are retried after (a minute), several times. */
const settleMillis = 600_000;
/** No file is told to have more. */
const copiesMax = 3;
const lookMillis = 500;
const listedAtOnce = 1_000;

/** Waits until nothing is left to repair, has everything verified, and compares it. What is wrong goes to the problems. */
export function settle(world: World): Promise<boolean> {
  return within(world, async (waiting) => {
    await undrain(world);
    await whole(world, waiting);
    const ordered = await orderScrub(world);
    await until(world, waiting, () => {
      const status = statusOf(world);
      const late = [...ordered].filter(([id, order]) => {
        const scrub = status?.nodes.find((node) => node.id === id)?.scrub;
        return scrub === undefined || scrub.orderedDone < order || scrub.left > 0;
      });
      return late.length === 0 ? undefined : `scrub of ${late.map(([id]) => id).join(", ")}`;
    });
    await whole(world, waiting);
  });
}

/** Names, links, extents and blocks agree, and every copy is there. */
export function checkStores(world: World): Promise<boolean> {
  return within(world, async () => {
    await checkNames(world);
    const { gone } = await compareCopies(world);
    // Rightly deleted is only what nothing names.
    if (gone > 0) await checkNames(world);
  });
}

async function checkNames(world: World): Promise<void> {
  for (const found of await fsck(world)) {
    if (found.state === "error") world.problems.push(`fsck: ${JSON.stringify(found)}`);
  }
}

interface Waiting {
  /** What for, in words. */
  what: string;
}

function whole(world: World, waiting: Waiting): Promise<void> {
  return until(world, waiting, () => {
    const status = statusOf(world);
    return status === undefined ? "the name server" : unsettled(status);
  });
}

/** Where there are not enough others, nobody can take the place of draining nodes. */
async function undrain(world: World): Promise<void> {
  const nodes = statusOf(world)?.nodes ?? [];
  if (nodes.filter(({ state }) => state === "up").length >= copiesMax) return;
  for (const { id, state } of nodes) {
    if (state !== "draining") continue;
    await asOperator(world, (server) => server.call("decideNode", { node: id, decision: "undrain" }));
  }
}

/** What is still to be done; undefined: nothing. */
function unsettled({ nodes, groups, repair, conversions }: StatusReply): string | undefined {
  if (groups.degraded + groups.lost > 0) return `groups: ${JSON.stringify(groups)}`;
  if (repair.state !== "idle" || repair.suspects + repair.lostBlocks > 0) return `repair: ${JSON.stringify(repair)}`;
  const serving = nodes.filter(({ state }) => state === "up");
  const draining = nodes.filter(({ state, groups: left }) => state === "draining" && left > 0);
  if (draining.length > 0 && serving.length >= copiesMax) return `draining ${JSON.stringify(draining)}`;
  return conversions.queued > 0 ? `${String(conversions.queued)} conversions` : undefined;
}

export function statusOf(world: World): StatusReply | undefined {
  const running = world.running(world.nameServer);
  return running?.kind === "name-server" ? running.server.status() : undefined;
}

/** The storage nodes whose copies of the journal are complete, as far as the name server knows. */
export function copyHosts(world: World): string[] {
  const complete = (statusOf(world)?.copies?.members ?? []).filter((member) => member.complete);
  const nodes = new Set(complete.map(({ node }) => node));
  return world.hosts("storage-node").filter((host) => {
    const running = world.running(host);
    return running?.kind === "storage-node" && nodes.has(running.identity.node);
  });
}

/**
 * Blocks are immutable: whoever has one has the same bytes, member or not, unless its copy shows that it is damaged. `gone`:
 * copies that were deleted meanwhile; a process that was stopped still has orders before it.
 */
async function compareCopies(world: World): Promise<{ readonly gone: number }> {
  let gone = 0;
  const seen = new Map<string, { readonly host: string; readonly bytes: Buffer }>();
  for (const host of world.hosts("storage-node")) {
    const running = world.running(host);
    if (running?.kind !== "storage-node") continue;
    const { store } = running;
    for (const { group } of store.greatest()) {
      for (const { block, length } of store.list(group, 0, listedAtOnce)) {
        const verdict = await store.verify(block);
        if (verdict === "damaged") continue;
        const bytes = verdict === "whole" ? await bytesOf(store, block, length) : undefined;
        if (bytes === undefined) {
          gone += 1;
          continue;
        }
        const other = seen.get(blockName(block));
        if (other === undefined) seen.set(blockName(block), { host, bytes });
        else if (!other.bytes.equals(bytes))
          world.problems.push(`block ${blockName(block)} is one on ${host} and another on ${other.host}`);
      }
    }
  }
  return { gone };
}

/** Undefined: it has been deleted. */
async function bytesOf(store: BlockStore, block: BlockId, length: number): Promise<Buffer | undefined> {
  try {
    return (await store.get(block, 0, length)).bytes;
  } catch (error) {
    if (errnoOf(error) === "ENOENT" && !store.has(block)) return undefined;
    throw error;
  }
}

/** @param missing what is still to come; undefined: nothing */
function until(world: World, waiting: Waiting, missing: () => string | undefined): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      const what = missing();
      waiting.what = what ?? "an answer";
      if (what === undefined) resolve();
      else world.events.schedule(lookMillis, look);
    };
    look();
  });
}

/** Whether it went well. */
async function within(world: World, run: (waiting: Waiting) => Promise<void>): Promise<boolean> {
  const { events, problems } = world;
  const state = { isOver: false };
  const waiting = { what: "an answer" };
  run(waiting).then(
    () => {
      state.isOver = true;
    },
    (error: unknown) => {
      state.isOver = true;
      problems.push(`while the cluster was looked at: ${String((error as Error).stack)}`);
    },
  );
  if (!(await events.runUntil(() => state.isOver, settleMillis)))
    problems.push(`not whole after ${String(settleMillis)} ms: waiting for ${waiting.what}`);
  return problems.length === 0;
}
