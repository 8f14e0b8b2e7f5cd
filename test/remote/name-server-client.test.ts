import test from "ava";
import { FsError } from "../../src/base/errno.ts";
import { toIno } from "../../src/base/ids.ts";
import { limits } from "../../src/base/limits.ts";
import { nameFromText } from "../../src/base/name.ts";
import { connectNameServer } from "../../src/remote/name-server-client.ts";
import type { NameServer } from "../../src/remote/types.ts";
import { settle, SimulatedClock } from "../support/simulated-clock.ts";
import { clientOptions, connected, FakeNameServer, quietEvents } from "./support/fake-name-server.ts";
import { silence } from "./support/fake-peer.ts";

const ino = toIno(5);
const root = { uid: 0, gid: 0 };

function mkdir(client: NameServer, name: string, signal?: AbortSignal): Promise<unknown> {
  const request = { caller: root, parent: ino, name: nameFromText(name), umask: 0, mode: 0o755 };
  return client.change("mkdir", request, signal === undefined ? undefined : { signal });
}

const errnoIs = (errno: string) => ({ instanceOf: FsError, message: new RegExp(`^${errno}`) });

test("a client opens a session, learns what is free, and tells its owner", async (t) => {
  const { client, server, told } = await connected();
  t.is(client.session, [...server.sessions.keys()][0] as typeof client.session);
  t.is(client.cluster, server.cluster);
  t.is(client.bytesFree, 1_000_000);
  t.is(client.map.version, 1);
  t.deepEqual(told, [{ caching: true, resumed: false }]);
  await client.close();
  t.is(server.calls("closeSession").length, 1);
});

test("calls that wait while the server is away are sent when it is back", async (t) => {
  const { client, server, clock, told } = await connected();
  server.refusal = new FsError("ECONNREFUSED", "away");
  server.restart();
  const asked = client.ask("getattr", { ino });
  const changed = mkdir(client, "a");
  await clock.advance(120_000);
  t.is(server.calls("getattr").length, 0);
  server.refusal = undefined;
  await clock.advance(limits.reconnectMillisMax);
  await asked;
  await changed;
  t.is(server.done.length, 1);
  t.deepEqual(told.at(-1), { caching: true, resumed: true });
  await client.close();
});

test("a restarted server is found at once, and while it is away within a second of its return", async (t) => {
  const { client, server, clock } = await connected();
  await clock.advance(10_000);
  const before = server.connects;
  server.restart();
  await settle();
  await clock.advance(0);
  t.is(server.connects, before + 1, "the first attempt is made at once");
  server.refusal = new FsError("ECONNREFUSED", "away");
  server.restart();
  await clock.advance(60_000);
  const attempts = server.connects;
  await clock.advance(10_000);
  t.true(server.connects - attempts >= 9, "no pause is longer than a second");
  t.true(server.connects - attempts <= 25, "and there are pauses");
  await client.close();
});

test("a change whose reply was lost is sent again under the same token and happens once", async (t) => {
  const { client, server, clock } = await connected();
  server.intercept = (call, peer) => {
    if (call.method !== "mkdir") return undefined;
    server.execute(client.session, call);
    server.intercept = () => undefined;
    peer.close("lost");
    return silence;
  };
  const reply = mkdir(client, "a");
  await clock.advance(1_000);
  t.like(await reply, { number: 1 });
  t.is(server.done.length, 1);
  const [first, second] = server.calls("mkdir");
  t.deepEqual(first?.request, second?.request);
  await client.close();
});

test("changes beyond the slots wait for one, first come first served", async (t) => {
  const { client, server, clock } = await connected();
  const holds: (() => void)[] = [];
  server.intercept = (call) =>
    call.method === "mkdir"
      ? new Promise<void>((resolve) => {
          holds.push(resolve);
        }).then(() => server.execute(client.session, call))
      : undefined;
  const all = Array.from({ length: limits.sessionSlots + 3 }, (_, i) => mkdir(client, `d${String(i)}`));
  await clock.advance(0);
  t.is(holds.length, limits.sessionSlots);
  holds[10]?.();
  await clock.advance(0);
  t.is(holds.length, limits.sessionSlots + 1);
  const last = server.calls("mkdir").at(-1)?.request as { name: string; op: unknown };
  t.is(last.name, `d${String(limits.sessionSlots)}`);
  t.deepEqual(last.op, { slot: 10, sequence: 2 });
  for (let i = 0; i < all.length; i++) {
    for (const hold of holds) hold();
    await clock.advance(0);
  }
  await Promise.all(all);
  await client.close();
});

test("a change aborted while it waits leaves at once; one that was sent keeps its slot until it is answered", async (t) => {
  const { client, server, clock } = await connected();
  let answer: (() => void) | undefined;
  server.intercept = (call) =>
    call.method === "mkdir"
      ? new Promise<void>((resolve) => {
          answer = resolve;
        }).then(() => server.execute(client.session, call))
      : undefined;
  const abort = new AbortController();
  const sent = mkdir(client, "sent", abort.signal);
  await settle();
  abort.abort(new FsError("EINTR", "killed"));
  await t.throwsAsync(sent, errnoIs("EINTR"));
  server.intercept = () => undefined;
  await mkdir(client, "other");
  t.deepEqual((server.calls("mkdir").at(-1)?.request as { op: unknown }).op, { slot: 1, sequence: 1 });
  answer?.();
  await settle();
  await mkdir(client, "third");
  t.deepEqual((server.calls("mkdir").at(-1)?.request as { op: unknown }).op, { slot: 0, sequence: 2 });

  server.refusal = new FsError("ECONNREFUSED", "away");
  server.restart();
  await settle();
  const waiting = new AbortController();
  const unsent = mkdir(client, "unsent", waiting.signal);
  const asked = client.ask("getattr", { ino }, { signal: waiting.signal });
  await settle();
  waiting.abort(new FsError("EINTR", "killed"));
  await t.throwsAsync(unsent, errnoIs("EINTR"));
  await t.throwsAsync(asked, errnoIs("EINTR"));
  server.refusal = undefined;
  await clock.advance(2_000);
  t.is(server.done.length, 3);
  await mkdir(client, "fourth");
  await client.close();
});

test("an aborted change that was sent is followed over a broken connection before its slot is used again", async (t) => {
  const { client, server, clock } = await connected();
  server.intercept = (call) => (call.method === "mkdir" ? silence : undefined);
  const abort = new AbortController();
  const sent = mkdir(client, "sent", abort.signal);
  await settle();
  abort.abort(new FsError("EINTR", "killed"));
  await t.throwsAsync(sent, errnoIs("EINTR"));
  server.intercept = () => undefined;
  server.restart();
  await clock.advance(1_000);
  t.is(server.done.length, 1);
  await Promise.all(Array.from({ length: 2 * limits.sessionSlots }, (_, i) => mkdir(client, String(i))));
  t.is(server.done.length, 1 + 2 * limits.sessionSlots);
  await client.close();
});

test("a soft client's calls fail with ETIMEDOUT while the server is away, sent or not", async (t) => {
  const { client, server, clock } = await connected({ timeoutMillis: 5_000 });
  server.intercept = (call) => (call.method === "mkdir" ? silence : undefined);
  const sent = mkdir(client, "sent");
  await settle();
  server.refusal = new FsError("ECONNREFUSED", "away");
  server.restart();
  await settle();
  const unsent = mkdir(client, "unsent");
  const asked = client.ask("getattr", { ino });
  const outcomes = Promise.allSettled([sent, unsent, asked]);
  await clock.advance(4_900);
  t.is(server.done.length, 0);
  await clock.advance(200);
  for (const outcome of await outcomes) t.regex(String((outcome as PromiseRejectedResult).reason), /ETIMEDOUT/);
  server.intercept = () => undefined;
  server.refusal = undefined;
  await clock.advance(2_000);
  t.is(server.done.length, 1, "what was sent is seen through, what was not is not sent");
  await client.close();
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
  t.deepEqual(told, [
    { caching: true, resumed: false },
    { caching: true, resumed: false },
  ]);
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
  t.deepEqual(told.slice(1), [{ caching: true, resumed: false }]);
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

test("a malformed request that breaks the connection is not sent for ever, and its slot goes on", async (t) => {
  const { client, server, clock } = await connected();
  server.intercept = (call, peer) => {
    if (call.method !== "mkdir" || (call.request as { mode: number }).mode >= 0) return undefined;
    peer.close("protocol violation");
    return silence;
  };
  const request = { caller: root, parent: ino, name: nameFromText("x"), umask: 0, mode: -1 };
  const refused = t.throwsAsync(client.change("mkdir", request), errnoIs("EINVAL"));
  await clock.advance(1_000);
  await refused;
  await mkdir(client, "good");
  t.deepEqual(server.done[0]?.op, { slot: 0, sequence: 1 });
  await client.close();
});

test("an error of the server is the caller's, and is not repeated", async (t) => {
  const { client, server } = await connected();
  server.intercept = (call) => {
    if (call.method !== "getattr") return undefined;
    throw new FsError("ENOENT", "no such inode");
  };
  await t.throwsAsync(client.ask("getattr", { ino }), errnoIs("ENOENT"));
  t.is(server.calls("getattr").length, 1);
  await client.close();
});

test("after close everything that waits or comes later is refused, and nothing is left running", async (t) => {
  const { client, server, clock } = await connected();
  server.refusal = new FsError("ECONNREFUSED", "away");
  server.restart();
  await settle();
  const outcomes = Promise.allSettled([client.ask("getattr", { ino }), mkdir(client, "a")]);
  await settle();
  await client.close();
  for (const outcome of await outcomes) t.regex(String((outcome as PromiseRejectedResult).reason), /ENOTCONN/);
  await t.throwsAsync(client.ask("getattr", { ino }), errnoIs("ENOTCONN"));
  await t.throwsAsync(mkdir(client, "b"), errnoIs("ENOTCONN"));
  t.is(clock.timers, 0);
});

test("when connected a call sends one message and no timer is set for it", async (t) => {
  const { client, server, clock } = await connected();
  const timers = clock.timers;
  const before = server.peer.calls.length;
  const asked = client.ask("getattr", { ino });
  t.is(server.peer.calls.length, before + 1, "sent within the call");
  t.is(server.peer.calls.at(-1)?.options.deadlineMillis, Infinity);
  t.is(clock.timers, timers);
  await asked;
  await client.close();
});
