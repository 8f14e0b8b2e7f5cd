/** Whose the cluster is, when another name server has taken over: who ends, and whose word counts. */
import test from "ava";
import type { ClusterId } from "../../../src/base/ids.ts";
import { takenOver, type CopyNode } from "./copy-node.ts";
import { working } from "./support.ts";
import { Watched } from "./watched.ts";

test("a server whose cluster was taken over does not start", async (t) => {
  const { c, nodes, client } = await working(2);
  await client.create("file").promise;
  const old = await c.kill();
  c.serverId = "00000000000000bb";
  for (const node of nodes) await takenOver(node, c.serverId);
  c.serverId = "00000000000000aa";
  await c.begin(old);
  const started = new Watched(c.starting);
  for (const node of nodes) await node.begin();
  await c.live(7_000);
  t.is(started.state, "rejected");
  t.regex(String(started.error), /taken over/);
  await c.kill();
});

test("a node that has not heard of it does not end the server that took over", async (t) => {
  const { c, nodes, client } = await working(3);
  const [unaware, failing, aware] = nodes as [CopyNode, CopyNode, CopyNode];
  await client.create("file").promise;
  const disk = await c.kill();
  c.serverId = "00000000000000bb";
  for (const node of [failing, aware]) await takenOver(node, c.serverId);
  await c.begin(disk);
  const started = new Watched(c.starting);
  failing.disk.fault = (operation) => (operation === "write" ? "EIO" : undefined);
  await unaware.begin();
  await failing.begin();
  await c.live(10_000);
  t.is(started.state, "pending", String(started.error));
  await aware.begin();
  await c.live(10_000);
  t.is(started.state, "resolved", String(started.error));
  t.true(c.copies.serving);
  await c.kill();
});

test("a server that was cut off while another one took over ends, though no node comes back to it", async (t) => {
  const { c, nodes } = await working(3);
  for (const node of nodes) await node.disconnect();
  await c.live(25_000);
  t.false(c.deposed, "nodes may only be away");
  for (const node of nodes.slice(1)) await takenOver(node, "00000000000000bb");
  await c.live(21_000);
  t.true(c.deposed);
  await c.kill();
});

test("a server whose nodes have gone over to another one while it was down ends when it is started", async (t) => {
  const { c, nodes } = await working(3);
  const disk = await c.kill();
  for (const node of nodes.slice(1)) await takenOver(node, "00000000000000bb");
  await c.begin(disk);
  await c.live(21_000);
  t.true(c.deposed);
  await c.kill();
});

test("what one node of three says is not enough to end a server that waits for its nodes", async (t) => {
  const { c, nodes } = await working(3);
  for (const node of nodes) await node.disconnect();
  await takenOver(nodes[0] as CopyNode, "00000000000000bb");
  c.nodes.splice(1);
  await c.live(60_000);
  t.false(c.deposed);
  await c.kill();
});

test("a node of another cluster at a node's address says nothing about this one", async (t) => {
  const { c, nodes } = await working(1);
  const other = await working(1);
  const stranger = await other.c.node(undefined, nodes[0]?.port);
  await stranger.register();
  await other.nodes[0]?.disconnect();
  await other.c.live(3_000);
  await takenOver(stranger, "00000000000000bb");
  await nodes[0]?.disconnect();
  c.nodes.splice(0, 1, stranger);
  await c.clock.advance(60_000);
  t.false(c.deposed);
  await c.kill();
  await other.c.kill();
});

test("what a node of another cluster says at the start of a server is not about this one", async (t) => {
  const { c, nodes } = await working(1);
  const stranger = await c.node();
  await stranger.identity.adopt("00000000000000cc" as ClusterId);
  const address = { host: "127.0.0.1", port: stranger.port };
  await takenOver(stranger, "00000000000000bb", {
    generation: 1,
    members: [],
    nodes: [{ node: stranger.id, address }],
  });
  await c.begin(await c.kill());
  const started = new Watched(c.starting);
  const registered = await stranger.begin();
  await c.live(7_000);
  t.is(started.state, "pending", String(started.error));
  t.regex(String(registered.error), /belongs to cluster 00000000000000cc/);
  await nodes[0]?.begin();
  await c.live(7_000);
  t.true(c.copies.serving);
  t.is(c.store.epoch, 2);
  await c.kill();
});
