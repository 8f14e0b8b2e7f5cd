/**
 * One request of the kernel while it is being served: who asks, its number, and how it is given up.
 * Made for every request, so it is small: its `unique` becomes a bigint and its signal a real one only when looked at.
 */
import { FsError } from "../base/errno.ts";
import type { Ino } from "../base/ids.ts";
import { inHeader } from "./abi-layouts.ts";
import { opcodeName } from "./abi-opcodes.ts";
import type { RequestContext } from "./operations.ts";
import { getU64 } from "./wire.ts";

/** Set in the upper half of `unique` when a restarted driver gets a request again (FUSE_UNIQUE_RESEND). */
const resendBit = 0x8000_0000;

export class KernelRequest implements RequestContext {
  readonly opcode: number;
  /** The two halves of `unique`, as they go into the reply. */
  readonly uniqueLow: number;
  readonly uniqueHigh: number;
  /** 0 where the request is about no inode; whoever serves the request has checked it. */
  readonly ino: Ino;
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
  parentGroup: number | undefined = undefined;
  /** Set by the reply: there is only one. */
  answered = false;
  private controller: AbortController | undefined = undefined;

  /** @param view holds at least a whole header at its start */
  constructor(view: DataView) {
    this.opcode = view.getUint32(inHeader.opcode, true);
    this.uniqueLow = view.getUint32(inHeader.unique, true);
    this.uniqueHigh = view.getUint32(inHeader.unique + 4, true);
    this.ino = getU64(view, inHeader.nodeid) as Ino;
    this.uid = view.getUint32(inHeader.uid, true);
    this.gid = view.getUint32(inHeader.gid, true);
    this.pid = view.getUint32(inHeader.pid, true);
  }

  /** A driver before this one may have got it, too. */
  get isResent(): boolean {
    return (this.uniqueHigh & resendBit) !== 0;
  }

  get unique(): bigint {
    return (BigInt(this.uniqueHigh & ~resendBit) << 32n) | BigInt(this.uniqueLow);
  }

  /** As `unique`, for maps: the kernel's counter stays far below 2^53. */
  get key(): number {
    return requestKey(this.uniqueLow, this.uniqueHigh);
  }

  get signal(): AbortSignal {
    return (this.controller ??= new AbortController()).signal;
  }

  interrupt(): void {
    (this.controller ??= new AbortController()).abort(
      new FsError("EINTR", `${opcodeName(this.opcode)} of process ${String(this.pid)} was interrupted`),
    );
  }
}

export function requestKey(uniqueLow: number, uniqueHigh: number): number {
  return (uniqueHigh & ~resendBit) * 2 ** 32 + uniqueLow;
}
