/** A client that has lost its name server: whom it asks, where it goes, and where it does not go back to. */
import test from "ava";
import { limits } from "../../src/base/limits.ts";
import { connectNameServer } from "../../src/remote/name-server-client.ts";
import type { KnownServers, NameServer } from "../../src/remote/types.ts";
import { quietEvents, type FakeNameServer } from "./support/fake-name-server.ts";
import { silence } from "./support/fake-peer.ts";
import { addressOf, Places } from "./support/places.ts";
import { ino, mkdir } from "./support/requests.ts";

const old = 1;
const other = 2;
const nodes = [11, 12, 13] as const;

interface World {
  readonly places: Places;
  readonly before: FakeNameServer;
  readonly client: NameServer;
  readonly told: KnownServers[];
}

/** A client that was given nothing but the address of the first name server, of epoch 5. */
async function world(nodePorts: readonly number[] = nodes): Promise<World> {
  const places = new Places();
  for (const port of nodePorts) places.node(port, 5, old);
  const before = places.server(old, 5);
  const told: KnownServers[] = [];
  const opening = connectNameServer({
    ...places.options(old),
    events: { ...quietEvents, onServers: (servers) => told.push(servers) },
  });
  await places.clock.advance(0);
  return { places, before, client: await opening, told };
}

test("a client whose name server is gone asks the storage nodes, and goes where the highest epoch is", async (t) => {
  const { places, before, client, told } = await world();
  const session = client.session;
  t.deepEqual(told, [{ epoch: 5, address: addressOf(old), nodes: nodes.map(addressOf) }]);
  t.deepEqual(places.asked, [], "nobody is asked while the server answers");
  places.at.delete(old);
  before.restart();
  const after = places.successor(other, 9, before);
  // One has not heard of it; one is down; one knows.
  places.at.delete(12);
  places.node(13, 9, other);
  const changed = mkdir(client, "a");
  await places.clock.advance(1_000);
  await changed;
  t.is(after.done.length, 1);
  t.is(client.session, session, "resumed");
  t.deepEqual(told.at(-1), { epoch: 9, address: addressOf(other), nodes: nodes.map(addressOf) });
  after.mapChanged?.({ ...after.map, version: 2, nodes: after.map.nodes.slice(0, 1) });
  t.deepEqual(told.at(-1), { epoch: 9, address: addressOf(other), nodes: [addressOf(nodes[0])] });
  await client.close();
  t.is(places.clock.timers, 0);
});

test("what nodes say is a hint: a wrong address, and one that is not there yet, keep nobody from the right one", async (t) => {
  const { places, before, client } = await world();
  for (const port of nodes) places.node(port, 9, 77);
  places.at.set(old, "mute");
  before.restart();
  const asked = client.ask("getattr", { ino });
  await places.clock.advance(20_000);
  t.true(places.tried.includes(77));
  // The one before is back after all, restarted.
  places.successor(old, 6, before);
  await places.clock.advance(2 * limits.callMillis);
  await asked;
  t.is(places.tried.at(-1), old);
  await client.close();
});

test("a client that has been at a higher epoch does not go back, and says so once", async (t) => {
  const { places, before, client } = await world();
  places.at.delete(old);
  before.restart();
  const after = places.successor(other, 9, before);
  for (const port of nodes) places.node(port, 9, other);
  await places.clock.advance(1_000);
  await client.ask("getattr", { ino });
  // That one goes away, and the first one is there again, as it was.
  places.at.delete(other);
  places.at.set(old, before);
  after.restart();
  const { length } = before.done;
  const changed = mkdir(client, "a");
  await places.clock.advance(30_000);
  t.true(places.tried.filter((port) => port === old).length > 5, "it is tried");
  t.is(before.done.length, length, "and not believed");
  t.is(places.lines.filter(({ message }) => message.includes("it is not believed")).length, 1);
  t.like(places.lines.find(({ message }) => message.includes("it is not believed"))?.fields, { epoch: 5, seen: 9 });
  // Of the same epoch it may be the same one; a higher one is the next.
  places.at.set(other, after);
  await places.clock.advance(2_000);
  await changed;
  t.is(after.done.length, 1);
  await client.close();
});

test("of several given name servers one that lets nobody in keeps no client from the next, where no node is known", async (t) => {
  const places = new Places();
  const waiting = places.server(old, 5);
  waiting.intercept = () => silence;
  places.server(other, 6);
  const opening = connectNameServer({ ...places.options(old, other), events: quietEvents });
  await places.clock.advance(10_000);
  t.deepEqual(places.tried, [old, other]);
  const client = await opening;
  await client.close();
  t.is(places.clock.timers, 0);
});

test("a server that lets nobody in is left for one that has taken over, and not again and again", async (t) => {
  const { places, before, client } = await world();
  // It takes connections, and answers nothing on them: stopped, or alone.
  before.intercept = () => silence;
  before.restart();
  const asked = client.ask("getattr", { ino });
  await places.clock.advance(4_000);
  t.deepEqual(places.tried, [old, old], "nodes know of no other one: it is waited for");
  for (const port of nodes) places.node(port, 9, other);
  await places.clock.advance(limits.askNodesMillisMax + 2_000);
  t.true(places.tried.includes(other), "before the opening has failed by itself");
  const attempts = places.tried.filter((port) => port === old).length;
  await places.clock.advance(20_000);
  t.true(places.tried.filter((port) => port === old).length <= attempts + 3, "each time it gets longer");
  places.successor(other, 9, before);
  await places.clock.advance(limits.callMillis);
  await asked;
  t.is(places.tried.at(-1), other);
  await client.close();
});

test("storage nodes are asked some at a time, and with pauses that grow", async (t) => {
  const many = Array.from({ length: 30 }, (_, i) => 100 + i);
  const { places, before, client } = await world(many);
  places.at.delete(old);
  before.restart();
  await places.clock.advance(100);
  // Of all addresses that it knows.
  t.is(places.asked.length, limits.nodesAskedMax);
  await places.clock.advance(60_000);
  const first = places.asked.length / limits.nodesAskedMax;
  t.true(first >= 6 && first <= 14, `asked ${String(first)} times in a minute`);
  t.true(new Set(places.asked).size > 2 * limits.nodesAskedMax, "not always the same");
  await places.clock.advance(600_000);
  const later = places.asked.length / limits.nodesAskedMax - first;
  t.true(later <= 60, `asked ${String(later)} times in ten minutes`);
  await client.close();
});

test("the addresses that a client is given may be storage nodes'", async (t) => {
  const places = new Places();
  places.node(11, 4, 66);
  places.node(12, 5, other);
  places.node(13, 0, null);
  const server = places.server(other, 5);
  const opening = connectNameServer(places.options(11, 12, 13));
  await places.clock.advance(1_000);
  const client = await opening;
  t.is(server.sessions.size, 1);
  t.deepEqual(places.tried, [11, other], "no session is looked for at nodes that have said what they are");
  await client.close();
});

test("who takes a client's place knows where its servers were, and does not go back either", async (t) => {
  const { places, before, client, told } = await world();
  places.at.delete(old);
  before.restart();
  const after = places.successor(other, 9, before);
  for (const port of nodes) places.node(port, 9, other);
  await places.clock.advance(1_000);
  await client.close();
  // It was given the old address, where an old server answers again.
  places.at.set(old, before);
  const opening = connectNameServer({ ...places.options(old), before: told.at(-1) });
  await places.clock.advance(0);
  const next = await opening;
  t.is(places.tried.at(-1), other);
  // It asks the same nodes.
  places.at.delete(other);
  after.restart();
  places.successor(3, 12, after);
  for (const port of nodes) places.node(port, 12, 3);
  await places.clock.advance(2_000);
  await next.ask("getattr", { ino });
  t.is(places.tried.at(-1), 3);
  await next.close();
});

test("one that takes a client's place asks its nodes although it never had a map", async (t) => {
  const places = new Places();
  for (const port of nodes) places.node(port, 12, 3);
  places.server(3, 12);
  const before = { epoch: 9, address: addressOf(other), nodes: nodes.map(addressOf) };
  const opening = connectNameServer({ ...places.options(old), before });
  await places.clock.advance(1_000);
  const client = await opening;
  t.deepEqual(places.tried, [other, 3]);
  await client.close();
});
