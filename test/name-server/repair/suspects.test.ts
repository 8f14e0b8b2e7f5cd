/** Copies that are said to be bad: how many are remembered, when they are looked at, and what is lost for good. */
import test from "ava";
import { blockName, toGroupId, type BlockId, type NodeId } from "../../../src/base/ids.ts";
import { limits } from "../../../src/base/limits.ts";
import { silentLog } from "../../../src/base/log.ts";
import { keys } from "../../../src/metadata-store/keys.ts";
import { encodeBlock } from "../../../src/metadata-store/records.ts";
import type { CopyProblem } from "../../../src/protocol/copy-methods.ts";
import { createSuspects, type Suspects } from "../../../src/name-server/repair/suspects.ts";
import { SimulatedClock } from "../../support/simulated-clock.ts";

const [one, two, former] = ["1111111111111111", "2222222222222222", "3333333333333333"] as [NodeId, NodeId, NodeId];
const group = toGroupId(1);
const block = (number: number): BlockId => ({ group, number });

interface Played {
  readonly clock: SimulatedClock;
  readonly suspects: Suspects;
  readonly unnamed: Set<string>;
  readonly down: Set<NodeId>;
  /** Orders to copy, as "node block from sources". */
  readonly orders: string[];
  /** What a node answers; undefined: it is right. */
  answer: (block: BlockId) => CopyProblem | undefined;
  readonly tick: () => Promise<void>;
}

/** Every block is named, in one group of two nodes. */
function play(): Played {
  const clock = new SimulatedClock();
  const unnamed = new Set<string>();
  const down = new Set<NodeId>();
  const orders: string[] = [];
  const record = encodeBlock({ length: 10, references: 1, liveBytes: 10, owner: 0 });
  const nodeOf = (id: NodeId): object => ({ id, state: down.has(id) ? "down" : "up" });
  const parts = {
    ...{ clock, log: silentLog },
    store: { get: (key: string) => (unnamed.has(key) ? undefined : record) },
    maps: { group: (id: number) => (id === 1 ? { group, epoch: 1, nodes: [one, two], copying: [] } : undefined) },
    nodes: { get: nodeOf },
    pace: { paced: (order: () => Promise<number>) => order() },
    orders: {
      copy(node: NodeId, [wanted]: { block: BlockId }[], sources: { id: NodeId }[]) {
        const from = sources.map(({ id }) => id[0]).join();
        orders.push(`${String(node[0])} ${String(wanted?.block.number)} from ${from}`);
        const problem = played.answer(wanted?.block as BlockId);
        const failed = problem === undefined ? [] : [{ block: wanted?.block, problem }];
        return Promise.resolve({ copied: [], failed, foreground: 0 });
      },
    },
  };
  const suspects = createSuspects(parts as unknown as Parameters<typeof createSuspects>[0]);
  const signal = new AbortController().signal;
  const played: Played = {
    ...{ clock, suspects, unnamed, down, orders },
    answer: () => undefined,
    tick: () => suspects.tick(signal),
  };
  return played;
}

test("so many are remembered, and there is room again when some are settled", async (t) => {
  const { suspects, orders, tick } = play();
  for (let number = 1; number <= limits.suspectsMax + 10; number++) suspects.add(one, block(number));
  t.is(suspects.waiting, limits.suspectsMax);
  await tick();
  t.is(orders.length, 64, "a few at a time");
  t.deepEqual([suspects.waiting, suspects.settled], [limits.suspectsMax - 64, 64]);
  for (let number = 1; number <= 100; number++) suspects.add(two, block(number));
  t.is(suspects.waiting, limits.suspectsMax);
});

test("so many lost blocks are remembered", (t) => {
  const { suspects } = play();
  for (let number = 1; number <= limits.suspectsMax + 10; number++) suspects.addLost(block(number));
  t.is(suspects.lost.length, limits.suspectsMax);
});

test("what is suspected twice is looked at once, and only at members", async (t) => {
  const { suspects, orders, tick } = play();
  suspects.add(one, block(1));
  suspects.add(one, block(1), former);
  suspects.add(former, block(1));
  suspects.add(one, { group: toGroupId(2), number: 1 });
  t.is(suspects.waiting, 1);
  await tick();
  t.deepEqual(orders, ["1 1 from 2,3"]);
  t.deepEqual([suspects.waiting, suspects.settled], [0, 1]);
});

test("what cannot be had now is asked for again, later each time, and at once when a node is back", async (t) => {
  const played = play();
  const { suspects, orders, clock, tick } = played;
  played.answer = () => "unreachable";
  suspects.add(one, block(1));
  const askedAt: number[] = [];
  for (let second = 0; second < 200; second++) {
    const before = orders.length;
    await tick();
    if (orders.length > before) askedAt.push(second);
    await clock.advance(1_000);
  }
  const pauses = askedAt.slice(1).map((at, i) => at - (askedAt[i] ?? 0));
  t.deepEqual(pauses, [2, 4, 8, 16, 32, 60, 60]);
  played.answer = () => undefined;
  suspects.nodeRegistered(two);
  await tick();
  t.is(suspects.waiting, 0);
});

test("a node that is down is not asked, and what nobody names any more is forgotten", async (t) => {
  const { suspects, orders, down, unnamed, clock, tick } = play();
  suspects.add(one, block(1));
  suspects.add(two, block(2));
  down.add(one);
  unnamed.add(keys.block(block(2)));
  await tick();
  t.deepEqual(orders, []);
  t.is(suspects.waiting, 1);
  down.clear();
  await clock.advance(2_000);
  await tick();
  t.deepEqual(orders, ["1 1 from 2"]);
});

test("a block is lost when all members are there and none has it, and found when somebody comes back who has", async (t) => {
  const played = play();
  const { suspects, orders, down, clock, tick } = played;
  played.answer = () => "missing";
  suspects.add(one, block(1));
  down.add(two);
  await tick();
  t.deepEqual(suspects.lost, [], "the other may have it");
  down.clear();
  await clock.advance(2_000);
  await tick();
  t.deepEqual(suspects.lost.map(blockName), ["1/1"]);
  t.is(suspects.waiting, 0);
  played.answer = () => undefined;
  orders.length = 0;
  suspects.nodeRegistered(former);
  await tick();
  t.deepEqual(orders, ["1 1 from 2,3", "2 1 from 1,3"]);
  t.deepEqual(suspects.lost, []);
});
