import test from "ava";
import { seededRandom } from "../../../src/base/random.ts";
import { openMemoryStore } from "../../../src/metadata-store/open.ts";
import { FaultyDisk } from "../../support/faulty-disk.ts";
import { stateOf, takenOver } from "./copy-node.ts";
import { CopyCluster, working } from "./support.ts";
import { Watched } from "./watched.ts";

test("a restarted server answers nobody before enough nodes are there, in whatever order they come", async (t) => {
  const { c, nodes, client } = await working(3);
  await client.create("file").promise;
  await c.begin(await c.kill());
  const started = new Watched(c.starting);
  await c.clock.advance(10_000);
  t.is(started.state, "pending");
  t.true(c.server.status().warnings.some((text) => text.includes("0 of 3 storage nodes are here, 2 are needed")));
  await nodes[2]?.begin();
  await c.clock.advance(10_000);
  t.is(started.state, "pending");
  await nodes[0]?.begin();
  await c.live(3_000);
  t.is(started.state, "resolved");
  const again = await c.laterClient();
  t.true(await again.has("file"));
  t.is(c.store.epoch, 2);
  await c.kill();
});

test("with all nodes there it starts at once", async (t) => {
  const { c, nodes } = await working(2);
  await c.begin(await c.kill());
  for (const node of nodes) await node.begin();
  await c.live(1_000);
  t.true(c.copies.serving);
  await c.kill();
});

test("what a member has beyond an old copy of the folder is adopted before anything is answered", async (t) => {
  const { c, nodes, client } = await working(2);
  await client.create("before").promise;
  // The folder as it was, by a name server that had ended then.
  const old = await c.kill();
  const kept = old.kill();
  await c.begin(old.kill());
  for (const node of nodes) await node.begin();
  await c.live(2_000);
  const later = await c.laterClient();
  for (let i = 0; i < 30; i++) await later.create(`after ${String(i)}`).promise;
  await c.kill();
  await c.begin(kept);
  for (const node of nodes) await node.begin();
  await c.live(3_000);
  const again = await c.laterClient();
  for (const name of ["before", "after 0", "after 29"]) t.true(await again.has(name), name);
  const [member] = c.members;
  t.deepEqual((await stateOf(c.nodeOf(member))).copy?.end, c.store.end);
  await c.kill();
});

test("a record that only the member has is adopted, and one that only the server has is copied", async (t) => {
  const { c, nodes, client } = await working(2);
  const member = c.nodeOf(c.members[0]);
  member.isSilent = true;
  const made = client.create("only here");
  await c.clock.advance(100);
  t.is(made.state, "pending");
  const disk = await c.kill();
  member.speakAgain();
  await c.begin(disk);
  for (const node of nodes) await node.begin();
  await c.live(3_000);
  t.deepEqual((await stateOf(c.nodeOf(c.members[0]))).copy?.end, c.store.end);
  const again = await c.laterClient();
  t.true(await again.has("only here"));
  await c.kill();
});

test("a folder that leads to another place than the members' copies is refused with advice", async (t) => {
  const { c, nodes, client } = await working(1);
  await client.create("one").promise;
  const base = await c.kill();
  const other = base.kill();
  await c.begin(base.kill());
  await nodes[0]?.begin();
  await c.live(2_000);
  const later = await c.laterClient();
  for (let i = 0; i < 10; i++) await later.create(`f${String(i)}`).promise;
  await c.kill();
  // The other copy of the folder goes its own way, alone.
  const alone = new CopyCluster(1);
  alone.serverId = c.serverId;
  await alone.begin(other);
  const { keys } = await import("../../../src/metadata-store/keys.ts");
  alone.store.apply([[keys.config("elsewhere"), Buffer.from("x")]]);
  await alone.store.durable();
  const forked = await alone.kill();
  await c.begin(forked);
  const started = new Watched(c.starting);
  await nodes[0]?.begin();
  await c.live(3_000);
  t.is(started.state, "rejected");
  t.regex(String(started.error), /--recover --nodes/);
  await c.kill();
});

test("a recovered server waits before it serves", async (t) => {
  const { c, nodes, client } = await working(2);
  await client.create("file").promise;
  c.waitMillis = 15_000;
  await c.begin(await c.kill());
  for (const node of nodes) await node.begin();
  await c.live(13_000);
  t.false(c.copies.serving);
  await c.live(3_000);
  t.true(c.copies.serving);
  await c.kill();
});

test("when a majority of the nodes is lost an operator's word is asked for, and enough", async (t) => {
  const { c, nodes, client } = await working(3);
  await client.create("file").promise;
  await c.begin(await c.kill());
  const started = new Watched(c.starting);
  await nodes[0]?.begin();
  await c.live(30_000);
  t.is(started.state, "pending");
  t.regex(
    c.server.status().warnings.join(),
    /1 of 3 storage nodes are here, 2 are needed; .* lost for ever .*, say so/,
  );
  c.mayLose = true;
  await c.live(14_000);
  t.false(c.copies.serving, "the one before may still believe that it may serve");
  t.false(c.mayLose, "it is for one start");
  await c.live(3_000);
  t.true(c.copies.serving);
  t.deepEqual(c.members, [nodes[0]?.id as string]);
  t.is(c.copies.nodes, 1);
  const again = await c.laterClient();
  t.true(await again.has("file"));
  // They were not lost after all, and had begun to obey another server: they count again.
  for (const node of nodes.slice(1)) await takenOver(node, "00000000000000bb");
  for (const node of nodes.slice(1)) await node.begin();
  await c.live(2_000);
  t.is(c.copies.nodes, 3);
  await again.create("later").promise;
  await c.begin(await c.kill());
  for (const node of nodes) await node.begin();
  await c.live(2_000);
  t.true(c.copies.serving);
  await c.kill();
});

test("the only node, emptied, is refused in words, and takes part once an operator has accepted the loss", async (t) => {
  const { c, nodes, client } = await working(1);
  await client.create("file").promise;
  const before = nodes[0]?.port;
  await c.begin(await c.kill());
  const emptied = await c.node(undefined, before);
  const registered = await emptied.begin();
  await c.live(8_000);
  t.is(registered.state, "pending");
  t.regex(c.server.status().warnings.join(), /0 of 1 storage nodes are here, 1 are needed; .*, say so/);
  c.mayLose = true;
  await c.live(18_000);
  t.is(registered.state, "resolved");
  t.deepEqual(c.members, [emptied.id as string]);
  t.is(c.copies.nodes, 1);
  t.true(await (await c.laterClient()).has("file"));
  await c.kill();
});

test("a folder made of a dump takes the cluster over: copies of what was before are begun anew", async (t) => {
  const { c, nodes, client } = await working(3);
  await client.create("file").promise;
  const dumped = [...c.store.range({ gte: "", lt: "\xff" })].filter(([key]) => !/^[SR]/.test(key));
  for (let i = 0; i < 20; i++) await client.create(`after ${String(i)}`).promise;
  await c.kill();
  const loaded = new FaultyDisk(seededRandom(3));
  const store = await openMemoryStore({ disk: loaded, clock: c.clock });
  store.apply(dumped.map(([key, value]) => [key, Buffer.from(value)]));
  await store.close();
  c.serverId = "00000000000000cc";
  await c.begin(loaded);
  for (const node of nodes) await node.begin();
  const started = new Watched(c.starting);
  await c.live(6_000);
  t.is(started.state, "rejected");
  c.mayLose = true;
  await c.begin(await c.kill());
  for (const node of nodes) await node.begin();
  await c.live(18_000);
  t.true(c.copies.serving);
  const again = await c.laterClient();
  t.true(await again.has("file"));
  t.false(await again.has("after 19"));
  t.is(c.members.length, 1);
  t.deepEqual((await stateOf(c.nodeOf(c.members[0]))).copy?.end, c.store.end);
  await c.kill();
});
