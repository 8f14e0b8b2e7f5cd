/**
 * Takes over a mount whose driver has died: same device, no mounting and no handshake. Everything that the kernel
 * remembers is dropped before the filesystem is even asked for, so that it does not depend on any server.
 *
 * The order: requests are taken from the beginning (see inherited.ts for which are answered); names (INC_EPOCH) and
 * attributes of inodes with pages are dropped, which waits for nothing; then every unanswered request comes again
 * (RESEND), and their answers unlock the pages that are dropped meanwhile. Attributes of inodes without pages run out by
 * themselves, before the lease under which they were given: their names are asked again at once, open ones then.
 */
import type { Clock } from "../base/clock.ts";
import { FsError } from "../base/errno.ts";
import type { Log } from "../base/log.ts";
import { callsFor } from "./calls-local-locks.ts";
import { Device } from "./device.ts";
import { firstHandleOf } from "./handle-ranges.ts";
import { Inherited } from "./inherited.ts";
import { KernelPages, type NoteFiles } from "./kernel-pages.ts";
import type { Negotiated, NegotiationOptions } from "./negotiate.ts";
import { KernelNotifier } from "./notify.ts";
import type { Operations } from "./operations.ts";
import { serve, type FuseMount } from "./serve.ts";

export interface TakeOverParts {
  readonly mountPoint: string;
  readonly fd: number;
  readonly notes: NoteFiles;
  readonly negotiated: Negotiated;
  readonly locks: NegotiationOptions["locks"];
  /** How many drivers this mount had before; at least 1. */
  readonly generation: number;
  /**
   * Brings the filesystem up, however long that takes; its handles are `firstHandle` or above. Called when the kernel
   * remembers nothing any more; the signal aborts when the mount has ended meanwhile.
   */
  readonly connect: (firstHandle: number, signal: AbortSignal) => Promise<Operations>;
  /** So long a request waits for that at most; absent: for ever. */
  readonly waitMillis?: number | undefined;
  /** The filesystem is there. */
  readonly onServing: () => void;
  /** It will not be: only another driver can go on. */
  readonly onFailed: (error: unknown) => void;
  readonly onDisconnected: () => void;
  readonly log: Log;
  readonly clock: Clock;
}

/** Notifications without locks that are on their way together. */
const attributesAtOnce = 4_096;

/** Answers from now on; `onServing` or `onFailed` follows, unless the mount ends before. */
export function takeOverFuse(parts: TakeOverParts): FuseMount {
  const { mountPoint, negotiated, clock } = parts;
  const log = parts.log.child({ component: "fuse" });
  const firstHandle = firstHandleOf(parts.generation);
  const device = new Device(log, { fd: parts.fd });
  device.beginServing();
  const notifier = new KernelNotifier(device.fd, negotiated);
  let operations: Operations | undefined;
  const kernelPages = new KernelPages(parts.notes, (ino) => operations?.mayBeKnown?.(ino) ?? true);
  const over = new AbortController();
  const attached = (async () => {
    await forgetInKernel(notifier, kernelPages, log, clock);
    over.signal.throwIfAborted();
    const connected = await parts.connect(firstHandle, over.signal);
    await connected.start(notifier);
    return (operations = connected);
  })();
  attached.then(parts.onServing, (error: unknown) => {
    if (!over.signal.aborted) parts.onFailed(error);
  });
  return serve({
    mountPoint,
    device,
    negotiated,
    notifier,
    log,
    clock,
    calls: callsFor(parts.locks),
    operations: () => operations,
    async stop() {
      const connected = operations ?? (await attached.catch(() => undefined));
      await connected?.stop();
    },
    kernelPages,
    inherited: new Inherited({ firstHandle, attached, clock, waitMillis: parts.waitMillis }),
    onDisconnected() {
      over.abort(new FsError("ENOTCONN", "the mount has ended"));
      parts.onDisconnected();
    },
  });
}

async function forgetInKernel(notifier: KernelNotifier, pages: KernelPages, log: Log, clock: Clock): Promise<void> {
  const began = clock.monotonicMillis();
  const inos = pages.inherited;
  // Where the kernel does not know it, names are valid for less time than a process takes to start.
  if (notifier.canInvalidateAllEntries) await notifier.invalidateAllEntries();
  for (let at = 0; at < inos.length; at += attributesAtOnce) {
    const some = inos.slice(at, at + attributesAtOnce);
    await Promise.all(some.map((ino) => notifier.invalidateAttributes(ino)));
  }
  await notifier.resend();
  await notifier.invalidateAllData(inos);
  pages.dropped();
  const millis = Math.round(clock.monotonicMillis() - began);
  log.warn({ inodes: inos.length, millis }, "the kernel has forgotten what the driver before this one had told it");
}
