/** `dfs scrub`: how far the storage nodes' scrubs are; `--now` orders a pass of all of them and waits for its end. */
import { sleep, systemClock } from "../base/clock.ts";
import { silentLog } from "../base/log.ts";
import type { ScrubReport } from "../protocol/scrub-methods.ts";
import type { StatusReply } from "../protocol/status.ts";
import type { Address } from "../rpc/types.ts";
import { CommandFailure } from "./failure.ts";
import { scrubTable } from "./scrub-table.ts";
import { fetchStatus } from "./status.ts";
import { connectAsOperator } from "./operator.ts";
import { createSurroundings } from "./surroundings.ts";
import { formatAddresses } from "./usage.ts";

/** As fsck(8): damage was repaired; damage is left; not everything could be looked at. */
const repairedStatus = 1;
const leftStatus = 4;
const incompleteStatus = 8;

const lookMillis = 1_000;
/** A node that has said nothing new for so long has stopped, or cannot be reached. */
const patienceMillis = 60_000;
/** How long the last damaged blocks may take to be repaired. */
const repairMillis = 60_000;

/** How far everybody is. */
export async function showScrub(
  addresses: readonly Address[],
  secretFile: string | undefined,
  say: (line: string) => void,
): Promise<void> {
  for (const line of scrubTable((await fetchStatus(addresses, secretFile)).nodes, systemClock)) say(line);
}

type Node = StatusReply["nodes"][number];

export async function scrubNow(
  addresses: readonly Address[],
  secretFile: string | undefined,
  say: (line: string) => void,
): Promise<number> {
  const before = new Map((await fetchStatus(addresses, secretFile)).nodes.map((node) => [node.id, node]));
  const ordered = await orderAll(addresses, secretFile);
  let incomplete = 0;
  const wanted = new Map<string, number>();
  for (const { node, ordered: number, problem } of ordered) {
    if (number !== null) wanted.set(node, number);
    else {
      incomplete += 1;
      say(`${node}  cannot be scrubbed: ${problem}`);
    }
  }
  const isDone = (node: Node): boolean => (node.scrub?.orderedDone ?? 0) >= (wanted.get(node.id) ?? 0);
  let nodes: readonly Node[] = [];
  let told = "";
  let movedAt = systemClock.monotonicMillis();
  for (let isOver = false; !isOver;) {
    await sleep(systemClock, lookMillis);
    nodes = (await fetchStatus(addresses, secretFile)).nodes.filter(({ id }) => wanted.has(id));
    const text = scrubTable(nodes, systemClock).join("\n");
    if (text !== told) movedAt = systemClock.monotonicMillis();
    if (text !== told) say(text);
    told = text;
    const waited = systemClock.monotonicMillis() - movedAt;
    const isRead = nodes.every(isDone);
    isOver = isRead && (nodes.every(({ scrub }) => scrub?.left === 0) || waited >= repairMillis);
    if (!isRead && waited >= patienceMillis) {
      incomplete += nodes.filter((node) => !isDone(node)).length;
      say(`nothing has moved for ${String(patienceMillis / 1000)} s: giving up waiting`);
      isOver = true;
    }
  }
  const sum = (of: (scrub: ScrubReport) => number, from: Iterable<Node>): number =>
    [...from].reduce((total, { scrub }) => total + (scrub === undefined ? 0 : of(scrub)), 0);
  const earlier = nodes.flatMap(({ id }) => before.get(id) ?? []);
  const found = sum((scrub) => scrub.found, nodes) - sum((scrub) => scrub.found, earlier);
  const repaired = sum((scrub) => scrub.repaired, nodes) - sum((scrub) => scrub.repaired, earlier);
  const left = sum((scrub) => scrub.left, nodes);
  say(`${String(found)} damaged blocks found, ${String(repaired)} repaired, ${String(left)} left`);
  return (repaired > 0 ? repairedStatus : 0) + (left > 0 ? leftStatus : 0) + (incomplete > 0 ? incompleteStatus : 0);
}

async function orderAll(
  addresses: readonly Address[],
  secretFile: string | undefined,
): Promise<{ node: string; ordered: number | null; problem: string }[]> {
  const surroundings = createSurroundings(silentLog, { secretFile });
  try {
    const peer = await connectAsOperator(surroundings, addresses, "scrub");
    const { reply } = await peer.call("scrubAll", {});
    peer.close("done");
    return reply.nodes;
  } catch (cause) {
    throw new CommandFailure(
      `the scrub could not be ordered at ${formatAddresses(addresses)}: ${(cause as Error).message}`,
      {
        cause,
      },
    );
  }
}
