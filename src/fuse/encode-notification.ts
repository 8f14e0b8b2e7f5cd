/**
 * Notifications: messages to the kernel that answer nothing. Pure: fresh bytes, ready for one write to the device.
 * For what each does and which lock it waits for see native-notes/fuse-protocol.md.
 */
import type { Ino } from "../base/ids.ts";
import type { Name } from "../base/name.ts";
import { notifyCodes } from "./abi-flags.ts";
import { invalEntryOut, invalInodeOut, outHeader } from "./abi-layouts.ts";
import { encodeHeader } from "./encode.ts";
import { type Frame, frameOf, setI64, setU64 } from "./wire.ts";

/** Offset -1: attributes only. Length 0: to the end of the file. */
export function encodeInvalidateInode(ino: Ino, offset: number, length: number): Buffer {
  const { bytes, view } = notification(notifyCodes.invalInode, invalInodeOut.bytes);
  const at = outHeader.bytes;
  setU64(view, at + invalInodeOut.ino, ino);
  setI64(view, at + invalInodeOut.offset, offset);
  setI64(view, at + invalInodeOut.length, length);
  return bytes;
}

export function encodeInvalidateEntry(parent: Ino, name: Name): Buffer {
  const { bytes, view } = notification(notifyCodes.invalEntry, invalEntryOut.bytes + name.length + 1);
  const at = outHeader.bytes;
  setU64(view, at + invalEntryOut.parent, parent);
  view.setUint32(at + invalEntryOut.nameLength, name.length, true);
  bytes.write(name, at + invalEntryOut.bytes, "latin1");
  return bytes;
}

export function encodeIncrementEpoch(): Buffer {
  return notification(notifyCodes.incEpoch, 0).bytes;
}

/** Every request that is unanswered is sent again, with the top bit of `unique` set. */
export function encodeResend(): Buffer {
  return notification(notifyCodes.resend, 0).bytes;
}

function notification(code: number, payloadBytes: number): Frame {
  const frame = frameOf(Buffer.alloc(outHeader.bytes + payloadBytes));
  encodeHeader(frame.view, frame.bytes.length, code, { uniqueLow: 0, uniqueHigh: 0 });
  return frame;
}
