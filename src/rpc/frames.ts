/**
 * The bytes of one message: pure functions, both ways. `PROTOCOL.md` explains when which is sent. Little endian.
 *
 *   0 kind:1   1 flags:1   2 zero:2   4 call:4   8 messageBytes:4   12 payloadBytes:4   16 message   .. first payload bytes
 *
 * message: MessagePack. request and notice: [method, request]; reply: the reply; error: [errno name, context];
 * hello, proof, ready: see handshake.ts; cancel and payload have none. payloadBytes: of the whole payload of a request
 * or reply; as much of it as follows the message here is its beginning, the rest comes by `payload` messages: such a
 * message announces the call, and the WebSocket message behind it is raw bytes, nothing else.
 */
import { Packr, Unpackr } from "msgpackr";
import { FsError } from "../base/errno.ts";
import { limits } from "../base/limits.ts";

export const frameKinds = {
  hello: 1,
  proof: 2,
  ready: 3,
  request: 4,
  reply: 5,
  error: 6,
  notice: 7,
  cancel: 8,
  payload: 9,
} as const;
export type FrameKind = (typeof frameKinds)[keyof typeof frameKinds];

/** Flag of a payload announcement: it belongs to a call that the receiver made (a reply's), not to one it serves. */
export const payloadOfReply = 1;

export const headerBytes = 16;

export interface Frame {
  readonly kind: FrameKind;
  readonly flags: number;
  readonly call: number;
  /** Undefined where the kind has none. Byte strings in it are views of the received buffer. */
  readonly message: unknown;
  readonly payloadBytes: number;
  /** The payload's beginning: a view of the received buffer. */
  readonly payload: Buffer;
}

const packr = new Packr({ useRecords: false, moreTypes: false });
const unpackr = new Unpackr({ useRecords: false, moreTypes: false });
/** msgpackr: leave this many bytes free at the start of what `pack` returns. */
const reserveHeader = 2048 | headerBytes;

/** Fresh: header and message (no payload) in one buffer. */
export function encodeFrame(
  kind: FrameKind,
  call: number,
  options: { message?: unknown; payloadBytes?: number; flags?: number } = {},
): Buffer {
  const frame =
    options.message === undefined ? Buffer.allocUnsafe(headerBytes) : packr.pack(options.message, reserveHeader);
  if (frame.length - headerBytes > limits.messageBytesMax) {
    throw new FsError("E2BIG", `a message of ${String(frame.length - headerBytes)} bytes`);
  }
  frame[0] = kind;
  frame[1] = options.flags ?? 0;
  frame.writeUInt16LE(0, 2);
  frame.writeUInt32LE(call, 4);
  frame.writeUInt32LE(frame.length - headerBytes, 8);
  frame.writeUInt32LE(options.payloadBytes ?? 0, 12);
  return frame;
}

/** Throws FrameError for anything that is not exactly one well-formed message. */
export function decodeFrame(bytes: Buffer): Frame {
  if (bytes.length < headerBytes) throw new FrameError(`a message of ${String(bytes.length)} bytes is too short`);
  const kind = bytes[0] ?? 0;
  if (kind < frameKinds.hello || kind > frameKinds.payload) throw new FrameError(`unknown kind ${String(kind)}`);
  const messageBytes = bytes.readUInt32LE(8);
  const payloadBytes = bytes.readUInt32LE(12);
  if (messageBytes > limits.messageBytesMax) throw new FrameError(`a message of ${String(messageBytes)} bytes`);
  if (payloadBytes > limits.payloadBytesMax) throw new FrameError(`a payload of ${String(payloadBytes)} bytes`);
  const payloadStart = headerBytes + messageBytes;
  if (payloadStart > bytes.length) throw new FrameError("the message is cut off");
  if (bytes.length - payloadStart > payloadBytes) throw new FrameError("more payload than announced");
  return {
    kind: kind as FrameKind,
    flags: bytes[1] ?? 0,
    call: bytes.readUInt32LE(4),
    message: messageBytes === 0 ? undefined : decodeMessage(bytes.subarray(headerBytes, payloadStart)),
    payloadBytes,
    payload: bytes.subarray(payloadStart),
  };
}

function decodeMessage(bytes: Buffer): unknown {
  try {
    return unpackr.unpack(bytes);
  } catch (cause) {
    throw new FrameError("not MessagePack", { cause });
  }
}

/** What came is not this protocol: the connection is closed. */
export class FrameError extends Error {
  override readonly name = "FrameError";
}
