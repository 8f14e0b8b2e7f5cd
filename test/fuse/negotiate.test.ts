import test from "ava";
import { FsError } from "../../src/base/errno.ts";
import { initFlags, initFlags2 } from "../../src/fuse/abi-flags.ts";
import { negotiate } from "../../src/fuse/negotiate.ts";

/** As Linux 6.18 offers it. */
const linux618 = { major: 7, minor: 45, maxReadahead: 131072, flags: 0x73fffffb, flags2: 0x5fd };

test("on a current kernel nothing that is wanted is missing, and writeback caching is off", (t) => {
  const { reply, missing, ...features } = negotiate(linux618, { locks: "cluster" });
  t.deepEqual(missing, []);
  t.deepEqual(features, { setxattrExtended: true, canIncrementEpoch: true, canResend: true, atomicTruncate: true });
  t.is(reply.minor, 45);
  t.is(reply.flags & initFlags.writebackCache, 0);
  t.is(reply.flags & ~linux618.flags, 0, "nothing that was not offered");
  t.is(reply.flags2 & ~linux618.flags2, 0);
  t.like(reply, { maxBackground: 65535, maxWriteBytes: 2 ** 20, maxPages: 256 });
});

test("locks=local leaves out the lock flags, and nothing else", (t) => {
  const { reply } = negotiate(linux618, { locks: "local" });
  const lockFlags = initFlags.posixLocks | initFlags.flockLocks;
  t.is(reply.flags & lockFlags, 0);
  t.is(reply.flags | lockFlags, negotiate(linux618, { locks: "cluster" }).reply.flags);
});

test("an old kernel gets its own version, and what it lacks is named", (t) => {
  const old = { major: 7, minor: 31, maxReadahead: 131072, flags: 0x03fffffb, flags2: 0 };
  const { reply, missing, ...features } = negotiate(old, { locks: "cluster" });
  t.is(reply.minor, 31);
  t.deepEqual(missing, [
    "handleKillprivV2",
    "setxattrExt",
    "initExt",
    "createSuppGroup",
    "directIoAllowMmap",
    "hasResend",
  ]);
  t.deepEqual(features, { setxattrExtended: false, canIncrementEpoch: false, canResend: false, atomicTruncate: true });
});

test("a newer kernel is answered with the newest version known here", (t) => {
  t.is(negotiate({ ...linux618, minor: 99 }, { locks: "cluster" }).reply.minor, 45);
});

test("flags2 are not answered to a kernel that does not know them", (t) => {
  const withoutExt = { ...linux618, flags: linux618.flags - initFlags.initExt };
  t.is(negotiate(withoutExt, { locks: "cluster" }).reply.flags2, 0);
  t.not(initFlags2.hasResend & linux618.flags2, 0);
});

test("a kernel that is too old is refused with the version that is needed", (t) => {
  const error = t.throws(() => negotiate({ ...linux618, minor: 30 }, { locks: "cluster" }), { instanceOf: FsError });
  t.regex(error.message, /7\.30.*7\.31.*Linux 5\.4/);
});
