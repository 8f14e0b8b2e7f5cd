import test from "ava";
import { FsError } from "../../src/base/errno.ts";
import type { NodeId } from "../../src/base/ids.ts";
import { toGroupId } from "../../src/base/ids.ts";
import { limits } from "../../src/base/limits.ts";
import { silentLog } from "../../src/base/log.ts";
import { connectInTime } from "../../src/remote/connect.ts";
import { giveUp } from "../../src/remote/give-up.ts";
import { createNodeReports } from "../../src/remote/node-reports.ts";
import { Slots } from "../../src/remote/slots.ts";
import type { NameServer } from "../../src/remote/types.ts";
import { WaitingLine } from "../../src/remote/waiting-line.ts";
import { settle, SimulatedClock } from "../support/simulated-clock.ts";
import { FakePeer, silence } from "./support/fake-peer.ts";

test("a line is first come first served, bounded, and lets go of who gives up", async (t) => {
  const clock = new SimulatedClock();
  const line = new WaitingLine<string>(clock, "a thing", 3);
  const abort = new AbortController();
  const first = line.wait({ signal: abort.signal });
  const second = line.wait({});
  const third = line.wait({ until: clock.monotonicMillis() + 50 });
  await t.throwsAsync(line.wait({}), { message: /^EAGAIN.*a thing/ });
  abort.abort(new FsError("EINTR", "no more"));
  await t.throwsAsync(first, { message: /^EINTR/ });
  const late = t.throwsAsync(third, { message: /^ETIMEDOUT/ });
  await clock.advance(100);
  await late;
  t.is(line.size, 1);
  line.first()?.go("it");
  t.is(await second, "it");
  t.is(line.first(), undefined);
  t.is(clock.timers, 0);
});

test("slots that nobody may wait for any more are refused, and the number of waiters is bounded", async (t) => {
  const slots = new Slots(new SimulatedClock());
  for (let i = 0; i < limits.sessionSlots; i++) t.is(slots.tryTake(), i);
  t.is(slots.tryTake(), undefined);
  const waiting = Array.from({ length: limits.waitingCallsMax }, () => slots.take({}).catch((error: unknown) => error));
  await t.throwsAsync(slots.take({}), { message: /^EAGAIN/ });
  slots.fail(new FsError("EIO", "over"));
  t.true((await Promise.all(waiting)).every((error) => error instanceof FsError && error.errno === "EIO"));
  await t.throwsAsync(slots.take({}), { message: /^EIO/ });
  t.is(slots.waiting, 0);
});

test("a slot's sequence rises by one, and an unsent number is drawn again", (t) => {
  const slots = new Slots(new SimulatedClock());
  const slot = slots.tryTake() as number;
  t.deepEqual(slots.next(slot), { slot, sequence: 1 });
  slots.undo(slot);
  t.deepEqual(slots.next(slot), { slot, sequence: 1 });
  t.deepEqual(slots.next(slot), { slot, sequence: 2 });
});

test("giving up leaves no timer and no listener, and an error that comes later is nobody's", async (t) => {
  const clock = new SimulatedClock();
  t.is(await giveUp(Promise.resolve(1), { clock, millis: 100 }), 1);
  t.is(clock.timers, 0);
  const late = new Promise<never>((_resolve, reject) => {
    clock.after(200, () => {
      reject(new Error("late"));
    });
  });
  const given = t.throwsAsync(giveUp(late, { clock, millis: 100 }), { message: /^ETIMEDOUT/ });
  await clock.advance(300);
  await given;
  await t.throwsAsync(giveUp(silence, { clock, signal: AbortSignal.abort(new FsError("EINTR", "x")) }), {
    message: /^EINTR/,
  });
});

test("a connection that comes after it was given up is closed", async (t) => {
  const clock = new SimulatedClock();
  const peer = new FakePeer(clock, () => undefined);
  let arrive: (() => void) | undefined;
  const connect = () =>
    new Promise<typeof peer>((resolve) => {
      arrive = () => {
        resolve(peer);
      };
    });
  const options = { handlers: {}, hello: { role: "client", id: "x" } as const, clock };
  const connecting = connectInTime(
    connect,
    { host: "::1", port: 5 },
    { ...options, signal: new AbortController().signal },
  );
  const late = t.throwsAsync(connecting, { message: /^ETIMEDOUT.*\[::1\]:5/ });
  await clock.advance(limits.connectMillis);
  await late;
  arrive?.();
  await settle();
  t.false(peer.isOpen);
});

test("the same problem of a node is told once in a while, and not too many at a time", (t) => {
  const clock = new SimulatedClock();
  const told: unknown[] = [];
  const ask = ((_method: string, request: unknown) => {
    told.push(request);
    return Promise.resolve({});
  }) as unknown as NameServer["ask"];
  const reports = createNodeReports({ nameServer: { ask }, clock, log: silentLog });
  const node = "00000000000000aa" as NodeId;
  const block = { group: toGroupId(1), number: 5 };
  for (let i = 0; i < 5; i++) {
    reports.report(node, "unreachable");
    reports.report(node, "corrupt", block);
  }
  t.deepEqual(told, [
    { node, problem: "unreachable" },
    { node, problem: "corrupt", block },
  ]);
  clock.stall(5_000);
  reports.report(node, "unreachable");
  t.is(told.length, 3);
  for (let number = 10; number < 5_000; number++) reports.report(node, "corrupt", { ...block, number });
  t.is(told.length, 2 + 256);
  clock.stall(5_000);
  reports.report(node, "corrupt", block);
  t.is(told.length, 2 + 256 + 1);
});
