import test from "ava";
import { settle } from "../../support/simulated-clock.ts";
import { asNameServer, stateOf, type CopyNode } from "./copy-node.ts";
import { CopyCluster } from "./support.ts";

test("a cluster without storage nodes serves, and its first node becomes a member", async (t) => {
  const c = new CopyCluster();
  await c.begin();
  const client = await c.client();
  await client.open();
  await client.create("alone").promise;
  t.deepEqual(c.members, []);
  const [a] = await c.withNodes(1);
  t.deepEqual(c.members, [a?.id]);
  t.deepEqual(c.copies.awaited, []);
  t.true(c.copies.serving);
  const { copy } = await stateOf(a);
  t.deepEqual(copy?.end, c.store.end);
  await c.kill();
});

test("what was acknowledged is on the disk of every member", async (t) => {
  const c = new CopyCluster(3);
  await c.begin();
  await c.withNodes(4);
  t.is(c.members.length, 2);
  const client = await c.client();
  await client.open();
  for (let i = 0; i < 5; i++) {
    await client.create(`file ${String(i)}`).promise;
    for (const id of c.members) t.deepEqual((await stateOf(c.nodeOf(id))).copy?.end, c.store.end);
  }
  await c.kill();
});

test("a member that is silent for a second is left out, and another one takes its place first", async (t) => {
  const c = new CopyCluster();
  await c.begin();
  await c.withNodes(3);
  const client = await c.client();
  await client.open();
  const before = c.copies.generation;
  const [member] = c.members;
  c.nodeOf(member).isSilent = true;
  const made = client.create("while it is silent");
  await c.live(500);
  t.is(made.state, "pending");
  t.deepEqual(c.copies.awaited, [member as string]);
  await c.live(3_000);
  t.is(made.state, "resolved");
  t.true(c.copies.generation > before);
  const [next] = c.members;
  t.not(next, member);
  t.deepEqual((await stateOf(c.nodeOf(next))).copy?.end, c.store.end);
  t.true((await stateOf(c.nodeOf(next))).register?.members.includes(next as never));
  c.nodeOf(member).speakAgain();
  await c.live(2_000);
  t.deepEqual(c.members, [next as string]);
  await c.kill();
});

test("with no other node a change waits for the member, and status says for whom", async (t) => {
  const c = new CopyCluster();
  await c.begin();
  const [a] = (await c.withNodes(1)) as [CopyNode];
  const client = await c.client();
  await client.open();
  a.isSilent = true;
  const made = client.create("it waits");
  await c.live(5_000);
  t.is(made.state, "pending");
  t.deepEqual(c.copies.awaited, [a.id]);
  t.true(c.server.status().warnings.some((text) => text.includes(a.id)));
  a.speakAgain();
  await c.live(1_000);
  t.is(made.state, "resolved");
  await c.kill();
});

test("nothing is answered, no read either, once too few nodes have confirmed it for ten seconds", async (t) => {
  const c = new CopyCluster();
  await c.begin();
  const nodes = await c.withNodes(3);
  const client = await c.client();
  await client.open();
  await client.create("file").promise;
  for (const node of nodes) node.isSilent = true;
  await c.clock.advance(8_000);
  const early = client.lookup("file");
  await settle();
  t.is(early.state, "resolved");
  await c.clock.advance(4_000);
  const late = client.lookup("file");
  await c.clock.advance(5_000);
  t.is(late.state, "pending");
  t.false(c.copies.serving);
  t.true(c.server.status().warnings.some((text) => text.startsWith("everything waits")));
  for (const node of nodes.slice(0, 2)) node.speakAgain();
  await c.live(3_000);
  t.is(late.state, "resolved");
  t.true(c.copies.serving);
  await c.kill();
});

test("a server that stood still serves nothing before it is confirmed again", async (t) => {
  const c = new CopyCluster();
  await c.begin();
  const nodes = await c.withNodes(2);
  const client = await c.client();
  await client.open();
  for (const node of nodes) node.isSilent = true;
  c.clock.stall(45_000);
  const read = client.lookup("file");
  await settle();
  t.is(read.state, "pending");
  for (const node of nodes) node.speakAgain();
  await c.live(2_000);
  t.is(read.state, "resolved");
  t.is(c.members.length, 1);
  await c.kill();
});

test("a server is deposed by the first node that obeys another one, and answers nothing any more", async (t) => {
  const c = new CopyCluster();
  await c.begin();
  const [a, b] = (await c.withNodes(2)) as [CopyNode, CopyNode];
  const client = await c.client();
  await client.open();
  await client.create("file").promise;
  for (const node of [a, b]) {
    const request = { epoch: 9, server: "00000000000000bb", cluster: c.server.cluster, address: null };
    await node.keeper.handlers.raiseEpoch(request, asNameServer);
  }
  const made = client.create("after it was taken over");
  await c.live(3_000);
  t.true(c.deposed);
  const read = client.lookup("file");
  await c.clock.advance(30_000);
  t.is(made.state, "pending");
  t.is(read.state, "pending");
  await c.kill();
});

test("with one copy of everything nothing is copied, and epochs are still confirmed", async (t) => {
  const c = new CopyCluster(1);
  await c.begin();
  const [a] = (await c.withNodes(1)) as [CopyNode];
  const client = await c.client();
  await client.open();
  await client.create("file").promise;
  t.deepEqual(c.members, []);
  t.is((await stateOf(a)).copy, null);
  a.isSilent = true;
  await c.clock.advance(13_000);
  const read = client.lookup("file");
  await c.clock.advance(1_000);
  t.is(read.state, "pending");
  await c.kill();
});

test("a copy that is behind goes on where it ended", async (t) => {
  const c = new CopyCluster(3);
  await c.begin();
  await c.withNodes(2);
  const client = await c.client();
  await client.open();
  const [a, b] = c.nodes as [CopyNode, CopyNode];
  await a.disconnect();
  await c.live(3_000);
  t.deepEqual(c.members, [b.id]);
  const before = (await stateOf(a)).copy;
  for (let i = 0; i < 20; i++) await client.create(`f${String(i)}`).promise;
  await a.register();
  await c.live(3_000);
  t.is(c.members.length, 2);
  t.deepEqual((await stateOf(a)).copy, before === null ? null : { ...before, end: c.store.end });
  await c.kill();
});

test("a member that was away while the journal was trimmed begins anew", async (t) => {
  const c = new CopyCluster(3);
  await c.begin();
  const [away, other] = (await c.withNodes(2)) as [CopyNode, CopyNode];
  const client = await c.client();
  await client.open();
  await away.disconnect();
  await c.live(3_000);
  for (let i = 0; i < 40; i++) await client.create(`f${String(i)}`).promise;
  await c.live(3_000);
  await c.store.snapshot();
  // Restarted, the server has no records in its memory.
  await other.disconnect();
  await c.begin(await c.kill());
  await other.begin();
  await c.live(6_000);
  t.deepEqual(c.members, [other.id]);
  await away.begin();
  await c.live(6_000);
  t.is(c.members.length, 2);
  const { copy } = await stateOf(away);
  t.true((copy?.base.index ?? 0) > 0);
  t.deepEqual(copy?.end, c.store.end);
  await c.kill();
});

test("a base is put under the copies when there is a snapshot", async (t) => {
  const c = new CopyCluster();
  await c.begin();
  const [a] = (await c.withNodes(1)) as [CopyNode];
  const client = await c.client();
  await client.open();
  for (let i = 0; i < 20; i++) await client.create(`f${String(i)}`).promise;
  await c.live(3_000);
  await c.store.snapshot();
  await c.live(15_000);
  t.true(((await stateOf(a)).copy?.base.index ?? 0) > 0);
  const [, late] = (await c.withNodes(1)) as [CopyNode, CopyNode];
  await a.disconnect();
  const made = client.create("more");
  await c.live(5_000);
  t.is(made.state, "resolved");
  t.deepEqual(c.members, [late.id]);
  const { copy } = await stateOf(late);
  t.true((copy?.base.index ?? 0) > 0);
  t.deepEqual(copy?.end, c.store.end);
  await c.kill();
});

test("a drained member hands over its copy, and is removed only when enough others know of that", async (t) => {
  const c = new CopyCluster();
  await c.begin();
  const nodes = await c.withNodes(3);
  const client = await c.client();
  await client.open();
  await client.create("before").promise;
  const leaver = c.nodeOf(c.members[0]);
  const { generation } = c.copies;
  await client.decide(leaver.id, "drain").promise;
  // Nobody takes the copy over, and without the leaver too few would be left who know of any.
  for (const node of nodes) if (node !== leaver) node.isSilent = true;
  await c.live(7_000);
  t.is(c.server.status().nodes.find(({ id }) => id === leaver.id)?.groups, 0);
  const early = client.decide(leaver.id, "remove");
  await c.live(13_000);
  t.is(early.state, "pending");
  t.is(c.copies.generation, generation);
  for (const node of nodes) node.speakAgain();
  await c.live(5_000);
  t.regex(String(early.error), /EBUSY.*journal/);
  t.is(c.copies.nodes, 2);
  t.is(c.members.length, 1);
  t.not(c.members[0], leaver.id);
  t.deepEqual((await stateOf(c.nodeOf(c.members[0]))).copy?.end, c.store.end);
  const late = client.decide(leaver.id, "remove");
  await c.live(1_000);
  t.is(late.state, "resolved");
  t.true(await client.has("before"));
  await c.kill();
});

test("who was taken back while it was to be removed stays", async (t) => {
  const c = new CopyCluster();
  await c.begin();
  const nodes = await c.withNodes(3);
  const client = await c.client();
  await client.open();
  const member = c.nodeOf(c.members[0]);
  const leaver = nodes.find((node) => node !== member) as CopyNode;
  await client.decide(leaver.id, "drain").promise;
  // Changes are acknowledged, and the register stays as it is.
  for (const node of nodes) if (node !== member) node.isSilent = true;
  await c.live(7_000);
  const removal = client.decide(leaver.id, "remove");
  await c.live(250);
  t.is(removal.state, "pending");
  await client.decide(leaver.id, "undrain").promise;
  for (const node of nodes) node.speakAgain();
  await c.live(15_000);
  t.regex(String(removal.error), /EBUSY.*in use/);
  t.is(c.server.status().nodes.find(({ id }) => id === leaver.id)?.state, "up");
  await c.kill();
});
