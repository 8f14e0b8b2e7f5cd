/**
 * One connection to the kernel while it lives: takes requests, calls the operations, answers each exactly once.
 *
 * An operation that answers at once is answered in the same turn, without a promise. Others wait in `waiting`, which
 * the kernel bounds: one request per waiting thread, and what its own limits allow for readahead and writeback.
 */
import { assert } from "../base/assert.ts";
import { errnoNumber, errnoOf, FsError } from "../base/errno.ts";
import type { Ino } from "../base/ids.ts";
import type { Log } from "../base/log.ts";
import { inHeader, outHeader } from "./abi-layouts.ts";
import { opcodeCount, opcodeName, opcodes } from "./abi-opcodes.ts";
import type { Call, CallTable, Encoded } from "./calls.ts";
import { bodyEnd, decodeParentGroup, decoders } from "./decode.ts";
import type { Device } from "./device.ts";
import { encodeHeader } from "./encode.ts";
import type { Inherited } from "./inherited.ts";
import type { Interrupts } from "./interrupts.ts";
import type { KernelPages } from "./kernel-pages.ts";
import { KernelRequest, requestKey } from "./kernel-request.ts";
import type { Operations } from "./operations.ts";
import { type Frame, frameOf } from "./wire.ts";

/** Every fixed structure fits, and short content is copied in: cheaper than a second piece. */
const replyBytes = 16 * 1024;
/** With this many frames kept by unanswered WRITEs, smaller WRITEs are copied instead of keeping one each. */
const keptFramesBeforeCopy = 8;
const copiedWriteBytesMax = 128 * 1024;

const notImplemented: Readonly<Partial<Record<number, number>>> = { [opcodes.ioctl]: errnoNumber("ENOTTY") };

export interface SessionParts {
  readonly device: Device;
  readonly calls: CallTable;
  /** Undefined while there is no filesystem yet: then `inherited` lets nothing through that needs it. */
  readonly operations: () => Operations | undefined;
  readonly interrupts: Interrupts;
  readonly log: Log;
  readonly setxattrExtended: boolean;
  /** Where is noted of which inodes the kernel may have pages. */
  readonly kernelPages?: KernelPages | undefined;
  /** What is let through, in a driver that took a mount over. */
  readonly inherited?: Inherited | undefined;
  /** DESTROY: the reply waits for it. */
  readonly onDestroy: () => Promise<void>;
}

export class Session {
  private readonly parts: SessionParts;
  private readonly reply = frameOf(Buffer.alloc(replyBytes));
  private readonly waiting = new Map<number, { request: KernelRequest; settled: Promise<void> }>();
  private readonly counts = new Float64Array(opcodeCount);
  private keptFrames = 0;

  constructor(parts: SessionParts) {
    this.parts = parts;
  }

  /** Requests so far, by the opcode's name. */
  get requests(): Readonly<Record<string, number>> {
    const counted: Record<string, number> = {};
    for (const [opcode, count] of this.counts.entries()) if (count > 0) counted[opcodeName(opcode)] = count;
    return counted;
  }

  get waitingCount(): number {
    return this.waiting.size;
  }

  /** The device's `RequestHandler`: never throws. */
  readonly handle = (frame: Frame, length: number): boolean => {
    if (length < inHeader.bytes) {
      this.parts.log.error({ length }, "the kernel sent less than a header");
      return false;
    }
    const request = new KernelRequest(frame.view);
    if (request.opcode < opcodeCount) this.counts[request.opcode] = (this.counts[request.opcode] ?? 0) + 1;
    if (this.parts.log.debugging) this.trace(request, length);
    try {
      const end = bodyEnd(frame, length);
      if (!Number.isSafeInteger(request.ino)) throw new FsError("EIO", "the kernel sent an inode above 2^53");
      const call = this.parts.calls[request.opcode];
      if (call === undefined) this.handleWithoutCall(request, frame, end);
      else return this.run(call, request, frame, end, length);
    } catch (error) {
      this.fail(request, error);
    }
    return false;
  };

  /** Gives up everything that still waits; resolves when all of it has answered. */
  async giveUpWaiting(): Promise<void> {
    for (const { request } of this.waiting.values()) request.interrupt();
    await Promise.all([...this.waiting.values()].map(({ settled }) => settled));
  }

  private run(call: Call, request: KernelRequest, frame: Frame, end: number, length: number): boolean {
    const { inherited, setxattrExtended } = this.parts;
    const copied = call.borrowsFrame && this.keptFrames >= keptFramesBeforeCopy && length <= copiedWriteBytesMax;
    const source = copied ? frameOf(Buffer.from(frame.bytes.subarray(0, length))) : frame;
    const body = call.decode(source, inHeader.bytes, end, setxattrExtended);
    if (end < length) request.parentGroup = decodeParentGroup(frame, end, length);
    const admission = inherited?.admit(request, body) ?? "run";
    const result =
      admission instanceof Promise
        ? admission.then(() => call.run(this.operations(), request, body))
        : admission === "done"
          ? undefined
          : call.run(this.operations(), request, body);
    if (!(result instanceof Promise)) {
      this.answer(call, request, result, body);
      return false;
    }
    const keeps = call.borrowsFrame && !copied;
    this.wait(call, request, result, body, keeps ? frame : undefined);
    return keeps;
  }

  private wait(
    call: Call,
    request: KernelRequest,
    result: Promise<unknown>,
    body: unknown,
    keptFrame: Frame | undefined,
  ): void {
    if (keptFrame !== undefined) this.keptFrames++;
    const done = (): void => {
      this.waiting.delete(request.key);
      this.parts.interrupts.answered(request);
      if (keptFrame === undefined) return;
      this.keptFrames--;
      this.parts.device.giveFrame(keptFrame);
    };
    const settled = result.then(
      (value) => {
        done();
        this.answer(call, request, value, body);
      },
      (error: unknown) => {
        done();
        this.fail(request, error);
      },
    );
    this.waiting.set(request.key, { request, settled });
    this.parts.interrupts.waiting(request);
  }

  private answer(call: Call, request: KernelRequest, result: unknown, body: unknown): void {
    try {
      const kept = call.keepsPagesOf?.(request, result);
      if (kept !== undefined) this.parts.kernelPages?.add(kept);
      this.send(request, call.encode(this.reply, outHeader.bytes, result, body));
    } catch (error) {
      this.fail(request, error);
    }
    call.release?.(result);
  }

  private send(request: KernelRequest, payload: Encoded): void {
    if (request.answered) throw new Error(`${opcodeName(request.opcode)} was answered twice`);
    if (typeof payload === "number") this.sendWritten(request, payload);
    else if ("errno" in payload) this.sendError(request, payload.errno);
    else this.sendPieces(request, payload);
  }

  /** @param payloadBytes so many are in the reply frame, behind the header */
  private sendWritten(request: KernelRequest, payloadBytes: number): void {
    const length = this.startReply(request, payloadBytes, 0);
    this.parts.device.write(this.reply.bytes, length);
  }

  private sendPieces(request: KernelRequest, pieces: readonly Uint8Array[]): void {
    const [first] = pieces;
    if (first !== undefined && pieces.length === 1 && first.length <= replyBytes - outHeader.bytes) {
      this.reply.bytes.set(first, outHeader.bytes);
      this.sendWritten(request, first.length);
      return;
    }
    const payloadBytes = pieces.reduce((total, piece) => total + piece.length, 0);
    const length = this.startReply(request, payloadBytes, 0);
    if (payloadBytes === 0) this.parts.device.write(this.reply.bytes, length);
    else this.parts.device.writePieces(this.reply.bytes, pieces);
  }

  private sendError(request: KernelRequest, errno: number): void {
    this.parts.device.write(this.reply.bytes, this.startReply(request, 0, -errno));
  }

  private startReply(request: KernelRequest, payloadBytes: number, error: number): number {
    request.answered = true;
    const length = outHeader.bytes + payloadBytes;
    encodeHeader(this.reply.view, length, error, request);
    if (this.parts.log.debugging) this.traceReply(request, error === 0 ? { bytes: length } : { errno: -error });
    return length;
  }

  private fail(request: KernelRequest, error: unknown): void {
    const name = errnoOf(error);
    const { log } = this.parts;
    if (!(error instanceof FsError)) {
      log.error({ error, request: opcodeName(request.opcode), ino: request.ino, pid: request.pid }, "a request failed");
    }
    if (request.answered) return;
    // ENOSYS from an operation would switch the whole request off for the life of the mount
    this.sendError(request, errnoNumber(name === "ENOSYS" ? "EOPNOTSUPP" : name));
  }

  private handleWithoutCall(request: KernelRequest, frame: Frame, end: number): void {
    const at = inHeader.bytes;
    switch (request.opcode) {
      case opcodes.forget:
        this.forget([{ ino: request.ino, count: decoders.forget(frame, at, end).count }]);
        return;
      case opcodes.batchForget:
        this.forget(decoders.batchForget(frame, at, end));
        return;
      case opcodes.interrupt: {
        const { uniqueLow, uniqueHigh } = decoders.interrupt(frame, at, end);
        const key = requestKey(uniqueLow, uniqueHigh);
        this.parts.interrupts.arrived(key, this.waiting.get(key)?.request);
        return;
      }
      case opcodes.notifyReply:
        return;
      case opcodes.destroy:
        void this.parts.onDestroy().then(() => {
          this.send(request, 0);
        });
        return;
      default:
        this.sendError(request, notImplemented[request.opcode] ?? errnoNumber("ENOSYS"));
    }
  }

  /** FORGET has no reply, and so no error. */
  private forget(forgotten: readonly { ino: Ino; count: number }[]): void {
    // Without a filesystem there is nobody who remembers.
    const operations = this.parts.operations();
    if (operations === undefined) return;
    for (const { ino, count } of forgotten) {
      try {
        operations.forget(ino, count);
      } catch (error) {
        this.parts.log.error({ error, ino, count }, "forget failed");
      }
    }
  }

  private operations(): Operations {
    const operations = this.parts.operations();
    assert(operations !== undefined, "a request was let through before there was a filesystem");
    return operations;
  }

  private trace(request: KernelRequest, bytes: number): void {
    const { unique, ino, uid, gid, pid } = request;
    this.parts.log.debug({ unique: String(unique), ino, uid, gid, pid, bytes }, opcodeName(request.opcode));
  }

  private traceReply(request: KernelRequest, outcome: { bytes: number } | { errno: number }): void {
    this.parts.log.debug({ unique: String(request.unique), ...outcome }, `${opcodeName(request.opcode)} answered`);
  }
}
