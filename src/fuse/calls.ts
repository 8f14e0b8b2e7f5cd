/**
 * Requests that are answered, one row each: how its bytes are decoded, which operation it is, and how its result is
 * encoded. What has no row here is answered ENOSYS, which the kernel takes as "never ask again".
 */
import { FsError } from "../base/errno.ts";
import type { Ino } from "../base/ids.ts";
import { opcodeCount, opcodes } from "./abi-opcodes.ts";
import { type Bodies, decoders, type RequestName } from "./decode.ts";
import type { KernelRequest } from "./kernel-request.ts";
import type { MaybePromise, Operations } from "./operations.ts";
import type { Frame } from "./wire.ts";

/** Bytes written into the frame, or pieces that follow the header as they are, or an error that is no exception. */
export type Encoded = number | readonly Uint8Array[] | { readonly errno: number };

export interface Call {
  readonly decode: (frame: Frame, at: number, end: number, setxattrExtended: boolean) => unknown;
  readonly run: (operations: Operations, request: KernelRequest, body: unknown) => unknown;
  readonly encode: (frame: Frame, at: number, result: unknown, body: unknown) => Encoded;
  /** After the reply has left. */
  readonly release: ((result: unknown) => void) | undefined;
  /** The inode of which the kernel may keep pages once it has the reply. */
  readonly keepsPagesOf: ((request: KernelRequest, result: unknown) => Ino | undefined) | undefined;
  /** The body has views of the request's frame. */
  readonly borrowsFrame: boolean;
}

export type CallTable = readonly (Call | undefined)[];

/** Types a row: what is decoded is what runs, and what it returns is what is encoded. */
export function call<K extends RequestName, R>(
  name: K,
  run: (operations: Operations, request: KernelRequest, body: Bodies[K]) => MaybePromise<R>,
  encode: (frame: Frame, at: number, result: R, body: Bodies[K]) => Encoded,
  more: {
    readonly release?: (result: R) => void;
    readonly keepsPagesOf?: (request: KernelRequest, result: R) => Ino | undefined;
  } = {},
): [RequestName, Call] {
  const { release, keepsPagesOf } = more;
  const row = { decode: decoders[name], run, encode, release, keepsPagesOf, borrowsFrame: name === "write" };
  return [name, row as unknown as Call];
}

export const encodeNothing = (): number => 0;

/** Of two rows for one request the later one counts. */
export function callTable(...parts: readonly (readonly [RequestName, Call][])[]): CallTable {
  const table: (Call | undefined)[] = new Array<Call | undefined>(opcodeCount).fill(undefined);
  for (const [name, row] of parts.flat()) table[opcodes[name]] = row;
  return table;
}

/** Xattr values and lists: a size of 0 asks only how long it is; one that is too small is ERANGE. */
export function sized(bytes: Buffer, sizeAsked: number, bytesMax: number): Buffer | number {
  if (bytes.length > bytesMax) throw new FsError("E2BIG", `extended attributes of ${String(bytes.length)} bytes`);
  if (sizeAsked === 0) return bytes.length;
  if (bytes.length > sizeAsked)
    throw new FsError("ERANGE", `room for ${String(sizeAsked)} of ${String(bytes.length)} bytes`);
  return bytes;
}
