import test from "ava";
import fc from "fast-check";
import { FsError } from "../../src/base/errno.ts";
import {
  frameOf,
  getExactU64,
  getFileOffset,
  getTime,
  getU64,
  need,
  setDuration,
  setI64,
  setTime,
  setU64,
} from "../../src/fuse/wire.ts";

const { view } = frameOf(Buffer.alloc(32));

test("every time of 64 bits is written as whole seconds and the nanoseconds above them, exactly", (t) => {
  fc.assert(
    fc.property(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), (time) => {
      setTime(view, time, 0, 8);
      const nanos = BigInt(view.getUint32(8, true));
      return nanos < 1_000_000_000n && view.getBigInt64(0, true) * 1_000_000_000n + nanos === time;
    }),
  );
  for (const time of [0n, -1n, 999_999_999n, 1_000_000_000n, -1_000_000_000n, 1_999_999_999_999_999_999n, 2n ** 62n]) {
    setTime(view, time, 0, 8);
    t.is(getTime(view, 0, 8), time);
  }
});

test("a number up to 2^53 - 1 goes through a u64 unchanged", (t) => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (value) => {
      setU64(view, 0, value);
      return getU64(view, 0) === value && view.getBigUint64(0, true) === BigInt(value);
    }),
  );
  fc.assert(
    fc.property(fc.maxSafeInteger(), (value) => {
      setI64(view, 0, value);
      return view.getBigInt64(0, true) === BigInt(value);
    }),
  );
  t.pass();
});

test("a u64 above 2^53 - 1 is refused where it must be exact", (t) => {
  view.setBigUint64(0, 2n ** 53n, true);
  t.like(
    t.throws(() => getExactU64(view, 0, "inode"), { instanceOf: FsError }),
    { errno: "EIO" },
  );
  t.like(
    t.throws(() => getFileOffset(view, 0), { instanceOf: FsError }),
    { errno: "EFBIG" },
  );
});

test("a validity is never written longer than it is", (t) => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1e9, noNaN: true }), (millis) => {
      setDuration(view, millis, 0, 8);
      const written = getU64(view, 0) * 1000 + view.getUint32(8, true) / 1e6;
      return written <= millis && millis - written < 0.001;
    }),
  );
  t.pass();
});

test("a structure that is not wholly there is refused", (t) => {
  t.is(need(8, 24, 16), 24);
  t.throws(() => need(8, 23, 16), { instanceOf: FsError, message: /1 bytes short/ });
});
