import test from "ava";
import { toGroupId, type NodeId } from "../../../src/base/ids.ts";
import { limits } from "../../../src/base/limits.ts";
import type { Nodes } from "../../../src/name-server/nodes.ts";
import { createOrders, type Orders } from "../../../src/name-server/repair/orders.ts";
import type { StorageNode } from "../../../src/name-server/storage-node.ts";

const id = "1111111111111111" as NodeId;
const group = toGroupId(1);

interface Call {
  readonly method: string;
  readonly request: Record<string, unknown>;
  readonly deadlineMillis: number | undefined;
}

/** A node with blocks 1 to `count`, which lists at most `listed` at a time. */
function play(count: number): { orders: Orders; calls: Call[]; node: { peer: unknown }; epoch: { now: number } } {
  const calls: Call[] = [];
  const epoch = { now: 1 };
  const call = (
    method: string,
    request: Record<string, unknown>,
    options: { deadlineMillis?: number } = {},
  ): unknown => {
    calls.push({ method, request, deadlineMillis: options.deadlineMillis });
    const { first = 0, limit = 0 } = request as { first?: number; limit?: number };
    const blocks = Array.from({ length: count }, (_, i) => ({ number: i + 1, length: 10 }))
      .filter(({ number }) => number >= first)
      .slice(0, limit);
    return Promise.resolve({ reply: { blocks, copied: [], failed: [], foreground: 0 } });
  };
  const node = { id, peer: { call } as unknown };
  const nodes = { get: (which: NodeId) => (which === id ? node : undefined), heardFrom: () => undefined };
  const orders = createOrders(nodes as unknown as Nodes, () => epoch.now);
  return { orders, calls, node, epoch };
}

test("every order carries the epoch of the moment", async (t) => {
  const { orders, calls, epoch } = play(3);
  await orders.list(id, group, 0, 10);
  epoch.now = 2;
  await orders.remove(id, [{ group, number: 1 }]);
  await orders.copy(id, [{ block: { group, number: 1 }, length: 1 }], []);
  t.deepEqual(
    calls.map(({ method, request }) => [method, request["epoch"]]),
    [
      ["listBlocks", 1],
      ["deleteBlocks", 2],
      ["copyBlocks", 2],
    ],
  );
});

test("who is not connected gets none", async (t) => {
  const { orders, node } = play(3);
  node.peer = undefined;
  for (const which of [id, "2222222222222222" as NodeId]) {
    const orderings = [
      () => orders.list(which, group, 0, 1),
      () => orders.numbers(which, group, 0, 1),
      () => orders.remove(which, []),
      () => orders.copy(which, [], []),
    ];
    for (const order of orderings) await t.throwsAsync(order, { message: /ENOTCONN/ });
  }
});

test("no more is listed at a time than a message takes, and no more is waited for than so many copies may take", async (t) => {
  const { orders, calls } = play(3);
  await orders.list(id, group, 0, 1e9);
  t.is(calls[0]?.request["limit"], limits.blocksListedMax);
  const blocks = Array.from({ length: 10 }, (_, i) => ({ block: { group, number: i }, length: 1 }));
  const source = { id: "2222222222222222" as NodeId, record: { host: "there", port: 7_500 } } as StorageNode;
  await orders.copy(id, blocks, [source]);
  t.deepEqual(calls[1]?.request["sources"], [{ node: source.id, address: { host: "there", port: 7_500 } }]);
  t.is(calls[1]?.deadlineMillis, 60_000 + 10 * 2_000);
});

test("the numbers of a stretch come page by page, both ends included", async (t) => {
  const { orders, calls } = play(3_000);
  const numbers = await orders.numbers(id, group, 10, 2_500);
  t.deepEqual([numbers.size, Math.min(...numbers), Math.max(...numbers)], [2_491, 10, 2_500]);
  t.true(calls.length <= 3);
  t.deepEqual([...(await orders.numbers(id, group, 2_999, Infinity))], [2_999, 3_000]);
  t.deepEqual([...(await orders.numbers(id, group, 5, 5))], [5]);
});
