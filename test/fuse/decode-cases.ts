/** Requests as bytes and what they mean: each row becomes two tests. */
import test from "ava";
import { FsError } from "../../src/base/errno.ts";
import { inHeader } from "../../src/fuse/abi-layouts.ts";
import { bodyEnd, decoders, type RequestName } from "../../src/fuse/decode.ts";
import type { Frame } from "../../src/fuse/wire.ts";
import { request, type Row, table } from "./bytes.ts";

export interface DecodeCase {
  readonly name: RequestName;
  readonly rows: readonly Row[];
  readonly means: unknown;
  /** false: without SETXATTR_EXT */
  readonly extended?: boolean;
}

type AnyDecoder = (frame: Frame, at: number, end: number, extended: boolean) => unknown;

export function decode(name: RequestName, body: Buffer, extended = true): unknown {
  const { frame, length } = request(name, body);
  return (decoders[name] as AnyDecoder)(frame, inHeader.bytes, bodyEnd(frame, length), extended);
}

export function testDecoding(cases: readonly DecodeCase[]): void {
  for (const [index, { name, rows, means, extended }] of cases.entries()) {
    test(`request ${String(index)}, ${name}, is decoded from its bytes`, (t) => {
      t.deepEqual(decode(name, table(...rows), extended), means);
    });

    test(`request ${String(index)}, ${name}, cut at any length, is refused and nothing behind its end is read`, (t) => {
      const whole = table(...rows);
      // INIT of an older kernel is shorter; flags2 is then 0
      const shortest = name === "init" ? 16 : whole.length;
      for (let length = 0; length < shortest; length++) {
        const error = t.throws(() => decode(name, whole.subarray(0, length), extended), { instanceOf: FsError });
        t.is(error.errno, "EIO", `${String(length)} bytes`);
      }
    });
  }
}

export function readRows(offset: string, readFlags = "00 00 00 00"): Row[] {
  return [
    ["fh", "01 00 00 00 00 00 00 00"],
    ["offset", offset],
    ["size", "00 10 00 00"],
    ["read_flags", readFlags],
    ["lock_owner", "00 00 00 00 00 00 00 00"],
    ["flags O_DIRECT", "00 40 00 00"],
    ["padding", "00 00 00 00"],
  ];
}

export function lockRows(type: string, lockFlags: string): Row[] {
  return [
    ["fh", "02 00 00 00 00 00 00 00"],
    ["owner", "ff ff ff ff ff ff ff ff"],
    ["start", "01 00 00 00 00 00 00 00"],
    ["end", "ff ff ff ff ff ff ff 7f"],
    ["type", type],
    ["pid", "2a 00 00 00"],
    ["lk_flags", lockFlags],
    ["padding", "00 00 00 00"],
  ];
}
