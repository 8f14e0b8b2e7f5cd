/**
 * The kernel driver: mounts a filesystem (`Operations`) at a directory and serves it until it is unmounted by anybody.
 *
 * Order at the end: the device tells every reader that the connection is gone; what still waits is given up; the
 * filesystem flushes (`stop`); the notifying threads end; the device is closed; `ended` resolves. So a raw umount(2)
 * loses nothing as long as the process lives until `ended`.
 */
import { sleep, type Clock } from "../base/clock.ts";
import { FsError } from "../base/errno.ts";
import type { Log } from "../base/log.ts";
import { inHeader, outHeader } from "./abi-layouts.ts";
import { opcodes } from "./abi-opcodes.ts";
import { protocol } from "./abi-flags.ts";
import { type CallTable, callTable } from "./calls.ts";
import { fileCalls } from "./calls-files.ts";
import { localLockCalls } from "./calls-local-locks.ts";
import { nameCalls } from "./calls-names.ts";
import { bodyEnd, decoders } from "./decode.ts";
import { Device } from "./device.ts";
import { encodeHeader, encodeInit } from "./encode.ts";
import { Interrupts } from "./interrupts.ts";
import { KernelRequest } from "./kernel-request.ts";
import { checkMountPoint } from "./mount-point.ts";
import { mount, raiseReadAhead, unmount } from "./mount.ts";
import { type Negotiated, negotiate, type NegotiationOptions } from "./negotiate.ts";
import { KernelNotifier } from "./notify.ts";
import type { Operations } from "./operations.ts";
import { Session } from "./session.ts";
import { frameOf } from "./wire.ts";

export interface FuseMountOptions extends Partial<NegotiationOptions> {
  /** Reads requests in the thread pool, as where the event loop cannot. */
  readonly readsInPool?: boolean;
  /** Further options of mount(8). */
  readonly mountOptions?: readonly string[];
}

export interface FuseMount {
  /** Resolves when the directory is unmounted, or detached because it is in use; `ended` follows. */
  unmount(): Promise<void>;
  /** Resolves when the connection has ended, by whomever, and `Operations.stop` is done; rejects if that failed. */
  readonly ended: Promise<void>;
  readonly statistics: {
    /** So far, by the request's name. */
    readonly requests: Readonly<Record<string, number>>;
    /** Not yet answered. */
    readonly waiting: number;
  };
}

/** How long unanswered requests may take to give up before the filesystem is told to stop. */
const giveUpMillis = 5_000;

export async function mountFuse(parts: {
  mountPoint: string;
  source: string;
  operations: Operations;
  log: Log;
  clock: Clock;
  options?: FuseMountOptions;
}): Promise<FuseMount> {
  const { source, operations, clock, options = {} } = parts;
  const log = parts.log.child({ component: "fuse" });
  const mountPoint = await checkMountPoint(parts.mountPoint, clock);
  const device = new Device(log, { inPool: options.readsInPool ?? false });
  try {
    await mount({ mountPoint, source, fd: device.fd, options: options.mountOptions ?? [] });
  } catch (error) {
    device.close();
    throw error;
  }
  try {
    const locks = options.locks ?? "cluster";
    const negotiated = await handshake(device, { locks });
    log.info({ mountPoint, minor: negotiated.reply.minor, missing: negotiated.missing }, "connected to the kernel");
    device.beginServing();
    await raiseReadAhead(mountPoint, log);
    const calls = callTable(nameCalls, fileCalls, locks === "local" ? localLockCalls : []);
    return await serve({ mountPoint, device, negotiated, calls, operations, log, clock });
  } catch (error) {
    await unmount(mountPoint, log);
    device.close();
    throw error;
  }
}

/** INIT, until both speak the same major version. */
async function handshake(device: Device, options: NegotiationOptions): Promise<Negotiated> {
  const reply = frameOf(Buffer.alloc(256));
  for (;;) {
    const { frame, length } = await device.readOne();
    const end = bodyEnd(frame, length);
    const request = new KernelRequest(frame.view);
    if (request.opcode !== opcodes.init) {
      throw new FsError("EPROTO", `the kernel began with request ${String(request.opcode)}`);
    }
    const kernel = decoders.init(frame, inHeader.bytes, end);
    const newer = kernel.major > protocol.major;
    const negotiated = negotiate(
      newer ? { ...kernel, major: protocol.major, minor: protocol.minorMax } : kernel,
      options,
    );
    const payload = encodeInit(reply, outHeader.bytes, negotiated.reply, protocol.major);
    encodeHeader(reply.view, outHeader.bytes + payload, 0, request);
    device.write(reply.bytes, outHeader.bytes + payload);
    device.giveFrame(frame);
    // a newer kernel asks again, in the version that it was answered
    if (!newer) return negotiated;
  }
}

async function serve(parts: {
  mountPoint: string;
  device: Device;
  negotiated: Negotiated;
  calls: CallTable;
  operations: Operations;
  log: Log;
  clock: Clock;
}): Promise<FuseMount> {
  const { mountPoint, device, negotiated, calls, operations, log, clock } = parts;
  const notifier = new KernelNotifier(device.fd, negotiated);
  const interrupts = new Interrupts(clock, log);
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => (stopped ??= operations.stop());
  const session = new Session({
    device,
    calls,
    operations,
    interrupts,
    log,
    setxattrExtended: negotiated.setxattrExtended,
    onDestroy: () =>
      stop().catch((error: unknown) => {
        log.error({ error }, "flushing at DESTROY failed");
      }),
  });
  try {
    await operations.start(notifier);
  } catch (error) {
    await notifier.close();
    throw error;
  }
  const ended = (async () => {
    await device.serve(session.handle);
    log.info({ mountPoint, waiting: session.waitingCount }, "unmounted");
    interrupts.close();
    try {
      await atMost(clock, giveUpMillis, session.giveUpWaiting());
      await stop();
    } finally {
      await notifier.close();
      device.close();
    }
  })();
  ended.catch((error: unknown) => {
    log.error({ error, mountPoint }, "the filesystem did not stop cleanly");
  });
  return {
    unmount: () => unmount(mountPoint, log),
    ended,
    statistics: {
      get requests() {
        return session.requests;
      },
      get waiting() {
        return session.waitingCount;
      },
    },
  };
}

async function atMost(clock: Clock, millis: number, done: Promise<void>): Promise<void> {
  const late = new AbortController();
  const timeout = sleep(clock, millis, late.signal).catch(() => undefined);
  await Promise.race([done, timeout]);
  late.abort();
}
