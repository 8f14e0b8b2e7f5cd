/**
 * The open /dev/fuse: requests are read on the event loop (or in the pool, see `pool-reads.ts`), replies written at once
 * by the calling thread.
 *
 * Frames: reading owns one (each reader, in the pool); a handler that still needs the request's bytes keeps the frame,
 * and returns it later. How many are kept is bounded by how many WRITEs the kernel has in flight (one per writing
 * thread, and for mappings what its dirty limits allow).
 */
import { closeSync, openSync, read, writeSync, writevSync } from "node:fs";
import { errnoOf, FsError } from "../base/errno.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import { outHeader } from "./abi-layouts.ts";
import { errnoNameOf, loopReading, type LoopReading, type LoopReads } from "./loop-reads.ts";
import { takePoolThreads, type PoolThreads } from "./pool-reads.ts";
import { type Frame, frameOf } from "./wire.ts";

/** @returns whether the frame is kept: it then comes back by `Device.giveFrame` */
export type RequestHandler = (frame: Frame, length: number) => boolean;

const devicePath = "/dev/fuse";
/** Room for the largest WRITE with its headers. */
const frameBytes = limits.fuseWriteBytesMax + 4096;
/** Unused frames beyond this are left to the garbage collector. */
const idleFramesMax = 16;
/** writev(2) takes this many pieces at once (IOV_MAX); the kernel wants a message in one call. */
const piecesMax = 1024;

export class Device {
  readonly fd: number;
  private readonly log: Log;
  /** One of both. */
  private readonly loop: LoopReading | undefined;
  private readonly poolThreads: PoolThreads | undefined;
  private readonly idle: Frame[] = [];
  private loopReads: LoopReads | undefined;
  private closed = false;

  /**
   * @param inPool reads in the thread pool also where the event loop could. EAGAIN: it has no thread for this
   * @param fd the open device, if somebody else has opened it; it is closed here
   */
  constructor(
    log: Log,
    { inPool = false, path = devicePath, fd }: { inPool?: boolean; path?: string; fd?: number } = {},
  ) {
    this.log = log;
    this.loop = inPool ? undefined : loopReading;
    this.poolThreads = this.loop === undefined ? takePoolThreads(log) : undefined;
    try {
      this.fd = fd ?? openDevice(path);
    } catch (error) {
      this.poolThreads?.giveBack();
      throw error;
    }
  }

  /** One request, for the handshake. ENODEV when the connection has ended. */
  async readOne(): Promise<{ frame: Frame; length: number }> {
    const frame = this.takeFrame();
    for (;;) {
      const { errno, length } = await new Promise<{ errno: string | undefined; length: number }>((resolve) => {
        read(this.fd, frame.bytes, 0, frame.bytes.length, null, (error, length) => {
          resolve({ errno: error === null ? undefined : errnoOf(error), length });
        });
      });
      if (errno === undefined) return { frame, length };
      if (!isPassing(errno)) throw new FsError("ENODEV", `reading the first request of the kernel: ${errno}`);
    }
  }

  /** After the handshake, which reads by itself: from here on `serve` and `write` are all. Throws if it cannot go on. */
  beginServing(): void {
    this.loopReads = this.loop?.open(this.fd);
  }

  /** Reads requests into `handler`, in order of arrival as far as several readers allow, until the connection ends. */
  async serve(handler: RequestHandler): Promise<void> {
    if (this.loopReads !== undefined) await this.readInLoop(this.loopReads, handler);
    else await Promise.all(Array.from({ length: this.poolThreads?.count ?? 0 }, () => this.readInPool(handler)));
  }

  /**
   * Writes a whole message: the first `length` bytes of `bytes`. False when the request is no longer there, or the device
   * is closed: its descriptor's number may already be that of a socket.
   */
  write(bytes: Buffer, length: number): boolean {
    if (this.closed) return false;
    try {
      writeSync(this.fd, bytes, 0, length);
      return true;
    } catch (error) {
      return this.writeFailed(error);
    }
  }

  /** Writes a whole message from its header and payload. */
  writePieces(header: Buffer, pieces: readonly Uint8Array[]): boolean {
    if (this.closed) return false;
    try {
      const all = pieces.length < piecesMax ? pieces : [Buffer.concat(pieces)];
      writevSync(this.fd, [header.subarray(0, outHeader.bytes), ...all]);
      return true;
    } catch (error) {
      return this.writeFailed(error);
    }
  }

  giveFrame(frame: Frame): void {
    if (this.idle.length < idleFramesMax && frame.bytes.length === frameBytes) this.idle.push(frame);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.poolThreads?.giveBack();
    if (this.loopReads === undefined) closeSync(this.fd);
    else this.loopReads.close();
  }

  private readInLoop(reads: LoopReads, handler: RequestHandler): Promise<void> {
    return new Promise((resolve) => {
      let frame = this.takeFrame();
      reads.start(frame.bytes, (length) => {
        if (length < 0) {
          this.ended(errnoNameOf(length));
          resolve();
        } else if (handler(frame, length)) frame = this.takeFrame();
        return frame.bytes;
      });
    });
  }

  private readInPool(handler: RequestHandler): Promise<void> {
    return new Promise((resolve) => {
      let frame = this.takeFrame();
      const next = (): void => {
        read(this.fd, frame.bytes, 0, frameBytes, null, arrived);
      };
      const arrived = (error: Error | null, length: number): void => {
        if (error === null) {
          if (handler(frame, length)) frame = this.takeFrame();
          next();
        } else if (isPassing(errnoOf(error))) {
          next();
        } else {
          this.ended(errnoOf(error));
          resolve();
        }
      };
      next();
    });
  }

  /** ENODEV: unmounted. ENOENT, only in the loop: the connection was aborted while a request was being read. */
  private ended(errno: string): void {
    if (errno !== "ENODEV" && errno !== "ENOENT") this.log.error({ errno }, "reading /dev/fuse failed: the mount ends");
  }

  /** ENOENT: the request was given up (abort). ENODEV: the connection has ended, as the readers learn as well. */
  private writeFailed(error: unknown): boolean {
    const errno = errnoOf(error);
    if (errno !== "ENOENT" && errno !== "ENODEV") {
      this.log.error({ error }, "the kernel refused a reply; its request fails with EIO");
    }
    return false;
  }

  private takeFrame(): Frame {
    return this.idle.pop() ?? frameOf(Buffer.allocUnsafeSlow(frameBytes));
  }
}

/** ENOENT: the request was given up while it was being read. */
function isPassing(errno: string): boolean {
  return errno === "EINTR" || errno === "EAGAIN" || errno === "ENOENT";
}

/** Throws FsError, which says what to do, when there is no FUSE here. */
export function openDevice(path: string = devicePath): number {
  try {
    return openSync(path, "r+");
  } catch (cause) {
    const errno = errnoOf(cause);
    const advice =
      errno === "ENOENT" || errno === "ENXIO"
        ? "the kernel has no FUSE here: load its module (modprobe fuse), or start the container with --device /dev/fuse"
        : errno === "EACCES" || errno === "EPERM"
          ? "mounting needs root (in a container also --cap-add SYS_ADMIN)"
          : "it cannot be opened";
    throw new FsError(errno, `${path}: ${advice}`, { cause });
  }
}
