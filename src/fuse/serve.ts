/**
 * Serves a connection with the kernel until it ends.
 *
 * Order at the end: the device tells every reader that the connection is gone; what still waits is given up; the
 * filesystem flushes (`stop`); the notifying threads end; the device is closed; `ended` resolves. So a raw umount(2)
 * loses nothing as long as the process lives until `ended`.
 */
import { sleep, type Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { CallTable } from "./calls.ts";
import type { Device } from "./device.ts";
import type { Inherited } from "./inherited.ts";
import { Interrupts } from "./interrupts.ts";
import type { KernelPages } from "./kernel-pages.ts";
import { unmount } from "./mount.ts";
import type { Negotiated } from "./negotiate.ts";
import type { KernelNotifier } from "./notify.ts";
import type { Operations } from "./operations.ts";
import { Session } from "./session.ts";

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

export interface ServeParts {
  readonly mountPoint: string;
  readonly device: Device;
  readonly negotiated: Negotiated;
  readonly notifier: KernelNotifier;
  readonly log: Log;
  readonly clock: Clock;
  readonly calls: CallTable;
  /** Undefined while there is no filesystem yet. */
  readonly operations: () => Operations | undefined;
  /** Flushes and ends the filesystem, if there is one. Called once. */
  readonly stop: () => Promise<void>;
  readonly kernelPages?: KernelPages | undefined;
  readonly inherited?: Inherited | undefined;
  /** The connection is over: nobody waits for an answer any more, and flushing begins. */
  readonly onDisconnected?: (() => void) | undefined;
}

/** Takes requests from now on; the device is prepared (`beginServing`). */
export function serve(parts: ServeParts): FuseMount {
  const { mountPoint, device, notifier, log, clock } = parts;
  const interrupts = new Interrupts(clock, log);
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => (stopped ??= parts.stop());
  const session = new Session({
    device,
    calls: parts.calls,
    operations: parts.operations,
    interrupts,
    log,
    setxattrExtended: parts.negotiated.setxattrExtended,
    kernelPages: parts.kernelPages,
    inherited: parts.inherited,
    onDestroy: () =>
      stop().catch((error: unknown) => {
        log.error({ error }, "flushing at DESTROY failed");
      }),
  });
  const ended = (async () => {
    await device.serve(session.handle);
    log.info({ mountPoint, waiting: session.waitingCount }, "unmounted");
    parts.onDisconnected?.();
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
