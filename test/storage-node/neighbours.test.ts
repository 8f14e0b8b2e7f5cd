import test from "ava";
import { FsError } from "../../src/base/errno.ts";
import type { NodeId } from "../../src/base/ids.ts";
import { limits } from "../../src/base/limits.ts";
import { Neighbours, type NodePeer } from "../../src/storage-node/neighbours.ts";
import { id } from "../block-store/support.ts";

const write = { block: id(1), length: 1, checksums: Buffer.alloc(4) };
const bytes = Buffer.alloc(1);
const nodeId = (number: number) => number.toString(16).padStart(16, "0") as NodeId;
const member = (number: number, port = 7500) => ({ node: nodeId(number), address: { host: "h", port } });

function fakeNetwork(call: (node: NodeId) => Promise<unknown> = () => Promise.resolve({})) {
  const open = new Set<object>();
  let connected = 0;
  const neighbours = new Neighbours(({ node }) => {
    connected += 1;
    let end: (reason: string) => void = () => undefined;
    const closed = new Promise<string>((resolve) => (end = resolve));
    const close = (reason: string): void => {
      open.delete(peer);
      end(reason);
    };
    const peer = { call: () => call(node), close, closed };
    open.add(peer);
    return Promise.resolve(peer as unknown as NodePeer);
  });
  return { neighbours, open, connected: () => connected };
}

test("one connection serves all blocks for a node, until it moves", async (t) => {
  const { neighbours, open, connected } = fakeNetwork();
  for (let i = 0; i < 5; i++) await neighbours.forward([member(1)], write, bytes);
  t.is(connected(), 1);
  await neighbours.forward([member(1, 7600)], write, bytes);
  t.is(connected(), 2);
  t.is(open.size, 1);
});

test("the number of connections is bounded", async (t) => {
  const { neighbours, open } = fakeNetwork();
  for (let i = 0; i < limits.neighboursMax + 9; i++) await neighbours.forward([member(i)], write, bytes);
  t.is(neighbours.size, limits.neighboursMax);
  t.is(open.size, limits.neighboursMax);
  neighbours.close();
  await new Promise<void>((resolve) => setImmediate(resolve));
  t.is(open.size, 0);
  await t.throwsAsync(neighbours.forward([member(1)], write, bytes), { message: /failed: node 0000000000000001/ });
});

for (const [errno, answered] of [
  ["ENOSPC", "ENOSPC"],
  ["EAGAIN", "EAGAIN"],
  ["EEXIST", "EEXIST"],
  ["EBADMSG", "EIO"],
  ["ETIMEDOUT", "EIO"],
  ["ECONNRESET", "EIO"],
] as const) {
  test(`${errno} of a neighbour is answered as ${answered}, with its name`, async (t) => {
    const { neighbours } = fakeNetwork(() => Promise.reject(new FsError(errno, "no")));
    const error = await t.throwsAsync(neighbours.forward([member(7)], write, bytes), { instanceOf: FsError });
    t.is(error.errno, answered);
    t.regex(error.message, /failed: node 0000000000000007/);
  });
}

test("who has failed further down the chain keeps being the one that is named", async (t) => {
  const far = new FsError("ENOSPC", "the chain failed: node 0000000000000009: ENOSPC: the disk is full");
  const { neighbours } = fakeNetwork(() => Promise.reject(far));
  const error = await t.throwsAsync(neighbours.forward([member(7)], write, bytes), { instanceOf: FsError });
  t.is(error.message, "ENOSPC: the chain failed: node 0000000000000009: ENOSPC: the disk is full");
});
