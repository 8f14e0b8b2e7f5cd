/**
 * Reading /dev/fuse on the event loop, as libuv reads pipes: the kernel wakes the serving thread itself. A read through
 * libuv's thread pool takes two threads, their two wake-ups and a futex more for each request (open and close of a file:
 * 6,100/s through the pool, 12,000/s through the loop; create with its round trip to the server: 1,030/s and 1,630/s).
 *
 * libuv does not look at what kind of file it is given, it polls and reads it; but Node offers that only for sockets, so
 * this takes the handle below them from `process.binding`, which Node keeps for such uses and has not changed since
 * version 12. Where it is missing, `loopReading` is undefined, and `pool-reads.ts` serves.
 */
import { getSystemErrorName } from "node:util";
import { type ErrnoName, FsError, isErrnoName } from "../base/errno.ts";

interface StreamHandle {
  /** Makes the file non-blocking. 0 or a negative errno. */
  open(fd: number): number;
  useUserBuffer(bytes: Buffer): void;
  readStart(): number;
  readStop(): number;
  /** Closes the file too. */
  close(): void;
  /** What it returns is read into from then on. */
  onread: () => Buffer | undefined;
}

interface Bindings {
  readonly Pipe: new (kind: number) => StreamHandle;
  readonly kindSocket: number;
  readonly state: Int32Array;
  /** Where `state` has the length of what was read, or a negative errno. */
  readonly lengthAt: number;
}

/** Undefined where this Node cannot do it. */
export const loopReading: LoopReading | undefined = findLoopReading();

export interface LoopReading {
  /** Takes over `fd`, and makes it non-blocking. */
  open(fd: number): LoopReads;
}

export interface LoopReads {
  /**
   * @param into what the first read fills
   * @param arrived gets the length of a request, or a negative errno, after which nothing comes any more; returns what
   *   the next read fills
   */
  start(into: Buffer, arrived: (length: number) => Buffer): void;
  /** Closes the file. */
  close(): void;
}

function findLoopReading(): LoopReading | undefined {
  const bindings = findBindings();
  if (bindings === undefined) return undefined;
  const { Pipe, kindSocket, state, lengthAt } = bindings;
  return {
    open(fd) {
      const handle = new Pipe(kindSocket);
      const error = handle.open(fd);
      if (error !== 0) throw new FsError(errnoNameOf(error), "libuv does not take /dev/fuse");
      return {
        start(into, arrived) {
          handle.useUserBuffer(into);
          handle.onread = () => {
            const length = state[lengthAt] ?? 0;
            // A wake-up without a request.
            if (length === 0) return undefined;
            if (length < 0) handle.readStop();
            return arrived(length);
          };
          handle.readStart();
        },
        close: () => {
          handle.close();
        },
      };
    },
  };
}

export function errnoNameOf(negative: number): ErrnoName {
  const name = getSystemErrorName(negative);
  return isErrnoName(name) ? name : "EIO";
}

function findBindings(): Bindings | undefined {
  const { binding } = process as unknown as { binding?: (name: string) => Record<string, unknown> };
  try {
    const { Pipe, constants } = binding?.call(process, "pipe_wrap") ?? {};
    const { streamBaseState, kReadBytesOrError } = binding?.call(process, "stream_wrap") ?? {};
    const kindSocket = (constants as { SOCKET?: unknown } | undefined)?.SOCKET;
    if (typeof Pipe !== "function" || typeof kindSocket !== "number" || typeof kReadBytesOrError !== "number") {
      return undefined;
    }
    if (!(streamBaseState instanceof Int32Array)) return undefined;
    return { Pipe: Pipe as Bindings["Pipe"], kindSocket, state: streamBaseState, lengthAt: kReadBytesOrError };
  } catch {
    return undefined;
  }
}
