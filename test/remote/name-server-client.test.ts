/** Calls: when they are sent, sent again, given up. */
import test from "ava";
import { FsError } from "../../src/base/errno.ts";
import { limits } from "../../src/base/limits.ts";
import { nameFromText } from "../../src/base/name.ts";
import { settle } from "../support/simulated-clock.ts";
import { connected } from "./support/fake-name-server.ts";
import { silence } from "./support/fake-peer.ts";
import { ino, root, mkdir, errnoIs } from "./support/requests.ts";

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
  t.deepEqual(told.at(-1), { resumed: true });
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
