/** Byte tables: rows of a label and hexadecimal bytes (or text in quotes), so that a message can be read beside fuse.h. */
import { inHeader } from "../../src/fuse/abi-layouts.ts";
import { opcodes, type OpcodeName } from "../../src/fuse/abi-opcodes.ts";
import { type Frame, frameOf } from "../../src/fuse/wire.ts";

export type Row = readonly [label: string, bytes: string];

/** `"06 00"`, or text: `'abc'` with `\0` for NUL. */
export function table(...rows: readonly Row[]): Buffer {
  return Buffer.concat(
    rows.map(([, bytes]) => (bytes.startsWith("'") ? text(bytes) : Buffer.from(bytes.replaceAll(" ", ""), "hex"))),
  );
}

function text(quoted: string): Buffer {
  return Buffer.from(quoted.slice(1, -1).replaceAll("\\0", "\0"), "latin1");
}

/** A whole request, in a frame that is larger than it and full of ones behind its end. */
export function request(
  name: OpcodeName,
  body: Buffer,
  extensions: Buffer = Buffer.alloc(0),
): { frame: Frame; length: number } {
  const length = inHeader.bytes + body.length + extensions.length;
  const bytes = Buffer.alloc(length + 256, 0xff);
  const frame = frameOf(bytes);
  frame.view.setUint32(inHeader.len, length, true);
  frame.view.setUint32(inHeader.opcode, opcodes[name], true);
  frame.view.setBigUint64(inHeader.unique, 0x1122n, true);
  frame.view.setBigUint64(inHeader.nodeid, 5n, true);
  frame.view.setUint32(inHeader.uid, 1000, true);
  frame.view.setUint32(inHeader.gid, 100, true);
  frame.view.setUint32(inHeader.pid, 4242, true);
  frame.view.setUint32(inHeader.extensionWords, extensions.length / 8, true);
  body.copy(bytes, inHeader.bytes);
  extensions.copy(bytes, inHeader.bytes + body.length);
  return { frame, length };
}
