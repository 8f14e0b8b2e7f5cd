import test from "ava";
import { blockChecksums, checksum } from "../../src/base/checksum.ts";
import type { NodeId } from "../../src/base/ids.ts";
import type { StorageNodeMethods } from "../../src/protocol/storage-node.ts";
import type { RequestOf } from "../../src/rpc/types.ts";
import { content, id, MiB, put, rejectsWith } from "../block-store/support.ts";
import { withCluster, type TestCluster, type TestNode } from "./support.ts";

type Order = RequestOf<StorageNodeMethods, "composeBlock">;

const pieces: Order["pieces"] = [
  { kind: "block", block: id(1), offset: 5_000, length: 10_000 },
  { kind: "inline", length: 100 },
  { kind: "block", block: id(2), offset: 0, length: 3 },
  { kind: "block", block: id(1), offset: 0, length: 4_096 },
  { kind: "inline", length: 50 },
];
const inline = content(9, 150);
const expected = Buffer.concat([
  content(1, 20_000).subarray(5_000, 15_000),
  inline.subarray(0, 100),
  content(2, 10).subarray(0, 3),
  content(1, 20_000).subarray(0, 4_096),
  inline.subarray(100),
]);

function order(more: Partial<Order> = {}): Order {
  return {
    ...{ epoch: 1, block: id(50), length: expected.length, pieces, inlineChecksum: checksum(inline) },
    ...{ sources: [], forward: [], ...more },
  };
}

/** As the name server orders it. */
async function compose(cluster: TestCluster, node: TestNode, request: Order, payload = inline): Promise<void> {
  const peer = cluster.nameServer.peers.find(({ remote }) => remote.id === node.identity.node);
  await peer?.call("composeBlock", request, { payload: [payload] });
}

async function stored({ store }: TestNode, number = 50): Promise<Buffer> {
  return (await store.get(id(number), 0, 4 * MiB)).bytes;
}

test("a block is composed of pieces and inline bytes, here and along the chain, and the same again is answered the same", (t) =>
  withCluster(t, 2, async (cluster, nodes) => {
    const [a, b] = nodes as [TestNode, TestNode];
    await put(a.store, 1, 20_000);
    await put(a.store, 2, 10);
    for (let i = 0; i < 2; i++) await compose(cluster, a, order({ forward: [b.member] }));
    t.true((await stored(a)).equals(expected));
    t.true((await stored(b)).equals(expected));
    const others = order({ pieces: [{ kind: "block", block: id(1), offset: 0, length: expected.length }] });
    await rejectsWith(t, "EEXIST", compose(cluster, a, { ...others, inlineChecksum: 0 }, Buffer.alloc(0)));
  }));

test("what a node does not have, or has damaged, comes from the sources", (t) =>
  withCluster(t, 3, async (cluster, nodes) => {
    const [a, b, c] = nodes as [TestNode, TestNode, TestNode];
    const damaged = content(3, 20_000);
    // Other bytes under checksums that do not fit them, as after rot.
    await a.store.put(id(1), damaged, Buffer.alloc(20)).catch(() => undefined);
    await put(c.store, 1, 20_000);
    await put(c.store, 2, 10);
    const sources = [{ group: id(1).group, nodes: [b.member, c.member] }];
    await compose(cluster, a, order({ sources }));
    t.true((await stored(a)).equals(expected));
  }));

test("a piece that is nowhere is ENOENT, one that nobody can give EIO, and nothing is stored", (t) =>
  withCluster(t, 2, async (cluster, nodes) => {
    const [a, b] = nodes as [TestNode, TestNode];
    await put(a.store, 2, 10);
    const at = (node: NodeId): Order["sources"] => [{ group: id(1).group, nodes: [{ ...b.member, node }] }];
    await rejectsWith(t, "ENOENT", compose(cluster, a, order({ sources: at(b.member.node) })));
    await rejectsWith(t, "EIO", compose(cluster, a, order({ sources: at("00000000000000ff" as NodeId) })));
    t.false(a.store.has(id(50)));
  }));

test("an order that does not fit itself, is damaged, or is of an earlier epoch is refused", (t) =>
  withCluster(t, 1, async (cluster, nodes) => {
    const [a] = nodes as [TestNode];
    await put(a.store, 1, 20_000);
    await put(a.store, 2, 10);
    await rejectsWith(t, "EINVAL", compose(cluster, a, order({ length: expected.length + 1 })));
    await rejectsWith(t, "EINVAL", compose(cluster, a, order({ length: expected.length - 1 })));
    await rejectsWith(t, "EBADMSG", compose(cluster, a, order({ inlineChecksum: 1 })));
    await compose(cluster, a, order({ epoch: 5 }));
    await rejectsWith(t, "ESTALE", compose(cluster, a, order({ epoch: 4, block: id(51) })));
  }));

test("only the name server may order it", (t) =>
  withCluster(t, 1, async (cluster, nodes) => {
    const [a] = nodes as [TestNode];
    const client = await cluster.client(a);
    await rejectsWith(t, "EPERM", client.call("composeBlock", order(), { payload: [inline] }));
  }));

test("what replaces others is stored along a chain of full nodes, by order only", (t) =>
  withCluster(t, 2, async (cluster, nodes) => {
    const [a, b] = nodes as [TestNode, TestNode];
    await put(a.store, 1, 20_000);
    await put(a.store, 2, 10);
    for (const { store } of [a, b]) await fill(store);
    const request = order({ forward: [b.member] });
    await rejectsWith(t, "ENOSPC", compose(cluster, a, request));
    await compose(cluster, a, { ...request, replaces: true });
    for (const node of [a, b]) t.true((await stored(node)).equals(expected));
    const bytes = content(60, 4_096);
    const write = { block: id(60), length: bytes.length, checksums: blockChecksums(id(60), bytes), forward: [] };
    const client = await cluster.client(b);
    const written = client.call("writeBlock", { ...write, replaces: true }, { payload: [bytes] });
    await rejectsWith(t, "EPERM", written);
  }));

/** So that not even the smallest block can be put. */
async function fill(store: TestNode["store"]): Promise<void> {
  let number = 100;
  for (const length of [4 * MiB, 128 * 1024, 4_096]) {
    try {
      for (;;) await put(store, number++, length);
    } catch {
      // What is smaller may still fit.
    }
  }
}
