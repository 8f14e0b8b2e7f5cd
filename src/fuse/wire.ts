/**
 * Numbers on the kernel's wire: little endian, u64 fields as JavaScript numbers where they fit 53 bits.
 * A frame is memory with its view, made once and used for many messages; nothing here allocates.
 */
import { FsError } from "../base/errno.ts";

export interface Frame {
  readonly bytes: Buffer;
  readonly view: DataView;
}

export function frameOf(bytes: Buffer): Frame {
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength) };
}

const two32 = 2 ** 32;

/** Exact below 2^53; above it the nearest double: for values that are then compared with a limit. */
export function getU64(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * two32 + view.getUint32(at, true);
}

/** `value`: an integer from 0 to 2^53 - 1. */
export function setU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value, true);
  view.setUint32(at + 4, value / two32, true);
}

/** `value`: a safe integer of either sign, as two's complement. */
export function setI64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value, true);
  view.setInt32(at + 4, Math.floor(value / two32), true);
}

/** A handle, inode or offset that must be exact. */
export function getExactU64(view: DataView, at: number, what: string): number {
  const value = getU64(view, at);
  if (!Number.isSafeInteger(value)) throw new FsError("EIO", `the kernel sent a ${what} above 2^53`);
  return value;
}

/** A file offset or length: EFBIG where exactness would end (no file is that large). */
export function getFileOffset(view: DataView, at: number): number {
  const value = getU64(view, at);
  if (!Number.isSafeInteger(value)) throw new FsError("EFBIG", "an offset above 2^53");
  return value;
}

const scratch = new BigInt64Array(1);
const scratchWords = new Int32Array(scratch.buffer);
const billion = 1e9;

/**
 * Writes a time as seconds (i64 at `secondsAt`) and nanoseconds (u32 at `nanosAt`). Without BigInt division, which
 * allocates: the double nearest to the time gives the second to within one, and the low 32 bits give the exact rest.
 */
export function setTime(view: DataView, time: bigint, secondsAt: number, nanosAt: number): void {
  scratch[0] = time;
  const low = scratchWords[0] ?? 0;
  const high = scratchWords[1] ?? 0;
  let seconds = Math.floor((high * two32 + (low >>> 0)) / billion);
  let nanos = (low - Math.imul(seconds, billion)) | 0;
  if (nanos < 0) {
    seconds -= 1;
    nanos += billion;
  } else if (nanos >= billion) {
    seconds += 1;
    nanos -= billion;
  }
  setI64(view, secondsAt, seconds);
  view.setUint32(nanosAt, nanos, true);
}

/** The inverse of `setTime`. */
export function getTime(view: DataView, secondsAt: number, nanosAt: number): bigint {
  return view.getBigInt64(secondsAt, true) * 1_000_000_000n + BigInt(view.getUint32(nanosAt, true));
}

/** Writes a duration in milliseconds as seconds (u64) and nanoseconds (u32). */
export function setDuration(view: DataView, millis: number, secondsAt: number, nanosAt: number): void {
  const seconds = Math.floor(millis / 1000);
  setU64(view, secondsAt, seconds);
  view.setUint32(nanosAt, Math.floor((millis - seconds * 1000) * 1e6), true);
}

/** Checks that `bytes` bytes are there, and returns where they end. */
export function need(at: number, end: number, bytes: number): number {
  const next = at + bytes;
  if (next > end) throw new FsError("EIO", `the kernel sent a request that is ${String(next - end)} bytes short`);
  return next;
}
