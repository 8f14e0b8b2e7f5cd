/**
 * Values at rest end with a CRC-32 over key and value, little endian: right bytes under a wrong key fail. The CRC of
 * key, value and that CRC together is a constant (the residue), so that a check is one pass over one buffer.
 */
import { checksum } from "../base/checksum.ts";
import { FsError } from "../base/errno.ts";
import type { Key } from "./types.ts";

export const checksumBytes = 4;
const residue = 0x2144df1c;
let scratch = Buffer.allocUnsafeSlow(32 * 1024);

/** Borrows. */
export function valueChecksum(key: Key, value: Uint8Array): number {
  const length = key.length + value.length;
  if (length > scratch.length) scratch = Buffer.allocUnsafeSlow(length * 2);
  scratch.write(key, 0, "latin1");
  scratch.set(value, key.length);
  return checksum(scratch.subarray(0, length));
}

/** The value as it is stored: fresh, `crc` appended. */
export function sealedValue(value: Buffer, crc: number): Buffer {
  const sealed = Buffer.allocUnsafe(value.length + checksumBytes);
  sealed.set(value);
  sealed.writeUInt32LE(crc, value.length);
  return sealed;
}

/** The CRC at the end of the first `length` bytes of a stored value. */
export function sealOf(stored: Uint8Array, length: number): number {
  const at = length - checksumBytes;
  return (
    ((stored[at] ?? 0) |
      ((stored[at + 1] ?? 0) << 8) |
      ((stored[at + 2] ?? 0) << 16) |
      ((stored[at + 3] ?? 0) << 24)) >>>
    0
  );
}

/** The value in the first `length` bytes of `stored` (borrowed), fresh. Throws EIO, naming the key, if the CRC fails. */
export function openedValue(key: Key, stored: Uint8Array, length: number): Buffer {
  const whole = Buffer.allocUnsafe(key.length + length);
  whole.write(key, 0, "latin1");
  copyInto(whole, stored, key.length, length);
  if (length < checksumBytes || checksum(whole) !== residue) {
    throw new FsError("EIO", `the stored value of key ${keyText(key)} fails its checksum`);
  }
  return whole.subarray(key.length, key.length + length - checksumBytes);
}

/** For people: the table's letter, then the rest in hexadecimal. */
export function keyText(key: Key): string {
  return key.slice(0, 1) + ":" + Buffer.from(key.slice(1), "latin1").toString("hex");
}

/** `source.length` may have been redefined (LMDB's shared buffer), so only byte counts that were given are trusted. */
function copyInto(target: Buffer, source: Uint8Array, at: number, length: number): void {
  if (length <= inlineCopyBytes) for (let i = 0; i < length; i++) target[at + i] = source[i] as number;
  else target.set(new Uint8Array(source.buffer, source.byteOffset, length), at);
}
const inlineCopyBytes = 64;
