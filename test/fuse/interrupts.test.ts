import test from "ava";
import { silentLog } from "../../src/base/log.ts";
import { hasPendingKill, Interrupts } from "../../src/fuse/interrupts.ts";
import { KernelRequest } from "../../src/fuse/kernel-request.ts";
import type { OpcodeName } from "../../src/fuse/abi-opcodes.ts";
import { request } from "./bytes.ts";
import { manualClock } from "./manual-clock.ts";

function waitingRequest(name: OpcodeName): KernelRequest {
  return new KernelRequest(request(name, Buffer.alloc(64)).frame.view);
}

function setup(killed: () => boolean): {
  clock: ReturnType<typeof manualClock>;
  interrupts: Interrupts;
  looks: () => number;
} {
  const clock = manualClock();
  let looks = 0;
  const interrupts = new Interrupts(clock, silentLog, () => {
    looks++;
    return Promise.resolve(killed());
  });
  return { clock, interrupts, looks: () => looks };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("a waiting lock is given up at once", (t) => {
  const { interrupts, looks } = setup(() => false);
  const lock = waitingRequest("setlkw");
  interrupts.arrived(lock.key, lock);
  t.true(lock.signal.aborted);
  t.is(looks(), 0);
});

test("another request is given up only when its process is being killed, and looked at until then", async (t) => {
  let killed = false;
  const { clock, interrupts, looks } = setup(() => killed);
  const read = waitingRequest("read");
  interrupts.arrived(read.key, read);
  await turn();
  t.false(read.signal.aborted, "Ctrl-Z and handled signals interrupt too");
  clock.advance(200);
  await turn();
  t.is(looks(), 2);
  killed = true;
  clock.advance(200);
  await turn();
  t.true(read.signal.aborted);
  t.like(read.signal.reason, { errno: "EINTR" });
});

test("an answered request's process is not looked at any more", async (t) => {
  const { clock, interrupts, looks } = setup(() => false);
  const read = waitingRequest("read");
  interrupts.arrived(read.key, read);
  await turn();
  interrupts.answered(read);
  clock.advance(1000);
  await turn();
  t.is(looks(), 1);
  t.is(clock.pending(), 0);
});

test("an INTERRUPT that overtakes its request takes effect when the request arrives", (t) => {
  const { interrupts } = setup(() => false);
  const lock = waitingRequest("setlkw");
  interrupts.arrived(lock.key, undefined);
  t.false(lock.signal.aborted);
  interrupts.waiting(lock);
  t.true(lock.signal.aborted);
});

test("INTERRUPTs of requests that were answered meanwhile are forgotten after 64 others", (t) => {
  const { interrupts } = setup(() => false);
  const lock = waitingRequest("setlkw");
  interrupts.arrived(lock.key, undefined);
  for (let key = 1; key <= 64; key++) interrupts.arrived(1_000_000 + key, undefined);
  interrupts.waiting(lock);
  t.false(lock.signal.aborted);
});

test("requests that the kernel makes by itself are of no process", async (t) => {
  const { interrupts, looks } = setup(() => true);
  const { frame } = request("write", Buffer.alloc(64));
  frame.view.setUint32(32, 0, true);
  const writeback = new KernelRequest(frame.view);
  interrupts.arrived(writeback.key, writeback);
  await turn();
  t.is(looks(), 0);
  t.false(writeback.signal.aborted);
});

test("a living process is not being killed, and one that does not exist neither", async (t) => {
  t.false(await hasPendingKill(process.pid));
  t.false(await hasPendingKill(2 ** 22 + 1));
});
