import test from "ava";
import { FsError } from "../../src/base/errno.ts";
import type { Handle, Ino } from "../../src/base/ids.ts";
import { type OpcodeName, opcodes } from "../../src/fuse/abi-opcodes.ts";
import { firstHandleOf } from "../../src/fuse/handle-ranges.ts";
import { Inherited } from "../../src/fuse/inherited.ts";
import { KernelRequest } from "../../src/fuse/kernel-request.ts";
import type { Operations } from "../../src/fuse/operations.ts";
import { manualClock } from "./manual-clock.ts";

const firstHandle = firstHandleOf(1);
const old = { handle: 3 as Handle };
const own = { handle: firstHandle as Handle };

function requestOf(name: OpcodeName, how: { resent?: boolean; ino?: number } = {}): KernelRequest {
  const view = new DataView(new ArrayBuffer(40));
  view.setUint32(4, opcodes[name], true);
  view.setUint32(8, 42, true);
  if (how.resent === true) view.setUint32(12, 0x8000_0000, true);
  view.setUint32(16, how.ino ?? 9, true);
  return new KernelRequest(view);
}

function scene(known: readonly number[] = [9]) {
  const clock = manualClock();
  const adopted: number[] = [];
  const filesystem = {
    adopt: (_request: unknown, ino: Ino) => {
      if (known.includes(ino)) return undefined;
      adopted.push(ino);
      return Promise.resolve();
    },
  } as unknown as Operations;
  let attach: (operations: Operations) => void = () => undefined;
  let fail: (error: Error) => void = () => undefined;
  const attached = new Promise<Operations>((resolve, reject) => {
    attach = resolve;
    fail = reject;
  });
  const inherited = new Inherited({ firstHandle, attached, clock, waitMillis: 5_000 });
  return {
    clock,
    adopted,
    inherited,
    fail: (error: Error): void => {
      fail(error);
    },
    attach: (): void => {
      attach(filesystem);
    },
  };
}

const eio = { instanceOf: FsError, message: /EIO/ };

test("handles of the driver before answer EIO at once, whether there is a filesystem or not", (t) => {
  const { inherited } = scene();
  for (const name of ["read", "write", "flush", "fsync", "readdir", "readdirplus", "fsyncdir", "lseek"] as const) {
    t.throws(() => inherited.admit(requestOf(name), old), eio, name);
  }
  for (const name of ["setattr", "fallocate", "getlk", "setlk", "setlkw"] as const) {
    t.throws(() => inherited.admit(requestOf(name), old), eio, name);
  }
  const to = { ...own, to: { ino: 4 as Ino, handle: 2 as Handle } };
  t.throws(() => inherited.admit(requestOf("copyFileRange"), to), eio);
});

test("they can be closed at once, and their attributes be asked for", async (t) => {
  const { inherited, attach } = scene();
  t.is(inherited.admit(requestOf("release"), old), "done");
  t.is(inherited.admit(requestOf("releasedir"), old), "done");
  const asked = inherited.admit(requestOf("getattr"), old);
  attach();
  await t.notThrowsAsync(Promise.resolve(asked));
  t.is(inherited.admit(requestOf("getattr"), old), "run");
});

test("a repeated request that changes something answers EIO, its first sending runs", async (t) => {
  const { inherited, attach } = scene();
  attach();
  await Promise.resolve();
  const changing = ["mkdir", "unlink", "rmdir", "rename", "rename2", "link", "create", "mknod", "symlink"] as const;
  for (const name of [...changing, "setattr", "setxattr", "removexattr", "write", "syncfs"] as const) {
    t.throws(() => inherited.admit(requestOf(name, { resent: true }), own), eio, name);
    t.is(inherited.admit(requestOf(name), own), "run", name);
  }
  t.throws(() => inherited.admit(requestOf("open", { resent: true }), { flags: 0o1001 }), eio, "O_TRUNC");
});

test("a repeated request that only looks runs", async (t) => {
  const { inherited, attach } = scene();
  attach();
  await Promise.resolve();
  for (const name of ["lookup", "getattr", "readlink", "opendir", "statfs", "getxattr", "listxattr"] as const) {
    t.is(inherited.admit(requestOf(name, { resent: true }), {}), "run", name);
  }
  t.is(inherited.admit(requestOf("open", { resent: true }), { flags: 0o2 }), "run");
});

test("every inode that a request names is adopted before it runs", async (t) => {
  const { inherited, attach, adopted } = scene();
  attach();
  await Promise.resolve();
  await inherited.admit(requestOf("rename2", { ino: 20 }), { newParent: 21 as Ino });
  await inherited.admit(requestOf("link", { ino: 22 }), { ino: 23 as Ino });
  await inherited.admit(requestOf("copyFileRange"), { ...own, to: { ...own, ino: 24 as Ino } });
  t.deepEqual(adopted, [20, 21, 22, 23, 24]);
  t.is(inherited.admit(requestOf("lookup"), {}), "run", "known: no promise");
});

test("without a filesystem a request waits: until it is there, given up, or for as long as the mount allows", async (t) => {
  const { inherited, attach, clock, adopted } = scene([]);
  const [late, interrupted] = [requestOf("lookup"), requestOf("lookup")];
  const waits = [late, interrupted].map((request) => Promise.resolve(inherited.admit(request, {})));
  interrupted.interrupt();
  await t.throwsAsync(waits[1] as Promise<unknown>, { message: /EINTR/ });
  clock.advance(5_000);
  await t.throwsAsync(waits[0] as Promise<unknown>, { message: /ETIMEDOUT/ });
  const answered = inherited.admit(requestOf("lookup"), {});
  attach();
  await answered;
  t.deepEqual(adopted, [9]);
  t.is(clock.pending(), 0);
});

test("when there will be no filesystem, what waits answers why", async (t) => {
  const { inherited, fail } = scene();
  const waiting = Promise.resolve(inherited.admit(requestOf("lookup"), {}));
  fail(new FsError("ENOTCONN", "the mount has ended"));
  await t.throwsAsync(waiting, { message: /ENOTCONN/ });
});
