/** Sessions: opening, resuming and losing them; connections, heartbeats, the map. */
import test from "ava";
import { FsError } from "../../src/base/errno.ts";
import { limits } from "../../src/base/limits.ts";
import { connectNameServer } from "../../src/remote/name-server-client.ts";
import { settle, SimulatedClock } from "../support/simulated-clock.ts";
import { clientOptions, connected, FakeNameServer, quietEvents } from "./support/fake-name-server.ts";
import { silence } from "./support/fake-peer.ts";
import { ino, mkdir, errnoIs } from "./support/requests.ts";
import type { NameServer } from "../../src/remote/types.ts";

test("a client opens a session, learns what is free, and tells its owner", async (t) => {
  const { client, server, told } = await connected();
  t.is(client.session, [...server.sessions.keys()][0] as typeof client.session);
  t.is(client.cluster, server.cluster);
  t.is(client.bytesFree, 1_000_000);
  t.is(client.map.version, 1);
  t.deepEqual(told, [{ resumed: false }]);
  await client.close();
  t.is(server.calls("closeSession").length, 1);
});

test("when the session is lost, calls in flight fail with EIO, and reading calls not yet sent go to the new one", async (t) => {
  const { client, server, clock, told } = await connected();
  const old = client.session;
  server.intercept = (call) => (call.method === "mkdir" || call.method === "getattr" ? silence : undefined);
  const inFlight = [mkdir(client, "a"), client.ask("getattr", { ino })];
  await settle();
  server.intercept = () => undefined;
  server.refusal = new FsError("ECONNREFUSED", "away");
  server.expireSessions();
  await settle();
  const unsentChange = mkdir(client, "b");
  const unsent = client.ask("statfs", {});
  const outcomes = Promise.allSettled([...inFlight, unsentChange]);
  server.refusal = undefined;
  await clock.advance(2_000);
  for (const outcome of await outcomes) t.regex(String((outcome as PromiseRejectedResult).reason), /EIO/);
  await unsent;
  t.not(client.session, old);
  t.deepEqual(told, [{ resumed: false }, { resumed: false }]);
  await mkdir(client, "c");
  t.deepEqual(server.done[0]?.op, { slot: 0, sequence: 1 });
  await client.close();
});

test("a new session is told of even if its first connection broke before that", async (t) => {
  const { client, server, clock, told } = await connected();
  server.intercept = (call, peer) => {
    if (call.method !== "heartbeat") return undefined;
    server.intercept = () => undefined;
    peer.close("again");
    return silence;
  };
  server.expireSessions();
  await clock.advance(3_000);
  t.deepEqual(told.slice(1), [{ resumed: false }]);
  await client.close();
});

test("a new session is told of in the step in which it begins: nothing of the old one can run ahead in it", async (t) => {
  const { client, server, clock, told } = await connected();
  const old = client.session;
  server.intercept = (call) => (call.method === "heartbeat" ? silence : undefined);
  server.expireSessions();
  await clock.advance(100);
  t.not(client.session, old);
  t.deepEqual(told.slice(1), [{ resumed: false }]);
  server.intercept = () => undefined;
  await client.close();
});

test("nothing is sent in a new session before onSession is done, and a resumption may flush through itself", async (t) => {
  const clock = new SimulatedClock();
  const server = new FakeNameServer(clock);
  let release: (() => void) | undefined;
  const holder: { client?: NameServer } = {};
  const opening = connectNameServer({
    ...clientOptions(server),
    events: {
      ...quietEvents,
      onSession: async ({ resumed }) => {
        if (resumed) {
          if (holder.client !== undefined) await mkdir(holder.client, "flushed");
        } else {
          await new Promise<void>((resolve) => {
            release = resolve;
          });
        }
      },
    },
  });
  await clock.advance(0);
  release?.();
  const client = await opening;
  holder.client = client;
  server.expireSessions();
  await clock.advance(100);
  const asked = client.ask("getattr", { ino });
  await clock.advance(1_000);
  t.is(server.calls("getattr").length, 0);
  release?.();
  await asked;
  server.restart();
  await clock.advance(2_000);
  t.is(server.done.length, 1);
  await client.close();
});

test("a server that does not answer heartbeats is left, and the session resumed on another connection", async (t) => {
  const { client, server, clock } = await connected();
  server.intercept = (_call, peer) => (peer === server.peers[0] ? silence : undefined);
  const asked = client.ask("getattr", { ino });
  await clock.advance(limits.heartbeatMillis * 3 + 1_000);
  await asked;
  t.is(server.peers.length, 2);
  t.true(server.peers[0]?.isOpen === false);
  t.is(server.sessions.size, 1);
  await client.close();
});

test("after a standstill of the client itself one more heartbeat is tried before the connection is given up", async (t) => {
  const { client, server, clock } = await connected();
  let silent = true;
  server.intercept = (call) => (call.method === "heartbeat" && silent ? silence : undefined);
  await clock.advance(limits.heartbeatMillis);
  clock.stall(60_000);
  silent = false;
  await clock.advance(1_000);
  t.is(server.peers.length, 1);
  t.true(server.peer.isOpen);
  await client.close();
});

test("a connection on which the server has no session is replaced, and the call happens", async (t) => {
  const { client, server, clock } = await connected();
  let once = true;
  server.intercept = (call) => {
    if (call.method !== "mkdir" || !once) return undefined;
    once = false;
    throw new FsError("ENOTCONN", "no session");
  };
  const changed = mkdir(client, "a");
  await clock.advance(1_000);
  await changed;
  t.is(server.peers.length, 2);
  await client.close();
});

test("the map is the newest that any reply or notice has shown", async (t) => {
  const { client, server, clock } = await connected();
  server.map = { ...server.map, version: 2 };
  server.mapChanged?.(server.map);
  t.is(client.map.version, 2);
  server.mapChanged?.({ ...server.map, version: 1 });
  t.is(client.map.version, 2);
  server.map = { ...server.map, version: 3 };
  await client.change("allocateBlocks", { count: 1, avoid: [] });
  t.is(client.map.version, 3);
  server.map = { ...server.map, version: 4 };
  server.bytesFree = 77;
  await clock.advance(limits.heartbeatMillis);
  t.is(client.map.version, 4);
  t.is(client.bytesFree, 77);
  server.map = { ...server.map, version: 5 };
  await client.ask("clusterMap", {});
  t.is(client.map.version, 5);
  await client.close();
});

test("opening tries the addresses in turn, and says who did not answer", async (t) => {
  const clock = new SimulatedClock();
  const server = new FakeNameServer(clock);
  const ports: number[] = [];
  const options = clientOptions(server);
  const two = [
    { host: "a", port: 1 },
    { host: "b", port: 2 },
  ];
  const client = connectNameServer({
    ...options,
    addresses: two,
    connect: (address, how) => {
      ports.push(address.port);
      return address.port === 1 ? Promise.reject(new FsError("ECONNREFUSED", "no")) : options.connect(address, how);
    },
  });
  await clock.advance(0);
  await (await client).close();
  t.deepEqual(ports, [1, 2]);

  server.refusal = new FsError("ECONNREFUSED", "nobody there");
  const failing = t.throwsAsync(connectNameServer({ ...options, addresses: two, openMillis: 3_000 }), {
    message: /^ETIMEDOUT.*a:1, b:2.*nobody there/,
  });
  await clock.advance(4_000);
  await failing;

  server.refusal = new FsError("EPERM", "the secret is wrong");
  const before = server.connects;
  await t.throwsAsync(connectNameServer(options), errnoIs("EPERM"));
  t.is(server.connects, before + 1);
  t.is(clock.timers, 0);
});

test("opening can be aborted, also while the connection hangs", async (t) => {
  const clock = new SimulatedClock();
  const server = new FakeNameServer(clock);
  const abort = new AbortController();
  const opening = connectNameServer({ ...clientOptions(server), connect: () => silence, signal: abort.signal });
  await clock.advance(100);
  abort.abort(new FsError("EINTR", "the user gave up"));
  await t.throwsAsync(opening, errnoIs("EINTR"));
  t.is(clock.timers, 0);
});

test("a client never goes over to another cluster", async (t) => {
  const { client, server, clock } = await connected();
  const { cluster } = client;
  server.cluster = "dddddddddddddddd" as typeof cluster;
  server.restart();
  const asked = client.ask("getattr", { ino }, { deadlineMillis: 5_000 });
  const refused = t.throwsAsync(asked, errnoIs("ETIMEDOUT"));
  await clock.advance(6_000);
  await refused;
  t.is(client.cluster, cluster);
  await client.close();
});
