/**
 * The second driver: the same `Operations` served through the package `fuse-native`, that is libfuse 2's path calls.
 * What is lost on this way is listed in native-notes/fuse-native.md. The kernel caches nothing: names and attributes are
 * asked for each time, reads and writes are direct.
 *
 * Who asks is not told, so the mount admits only processes of root, who mounted it, and everything happens as root.
 *
 * This process never touches the mount. Unmounted by whomever, the connection ends when all is answered; then the
 * operations are stopped (flushed), and `ended` resolves.
 */
import { setMaxListeners } from "node:events";
import type { Clock } from "../../base/clock.ts";
import { FsError } from "../../base/errno.ts";
import type { Ino } from "../../base/ids.ts";
import type { Log } from "../../base/log.ts";
import type { FuseMount } from "../serve.ts";
import { checkMountPoint } from "../mount-point.ts";
import { unmount } from "../mount.ts";
import type { Notifier, Operations } from "../operations.ts";
import { fileCalls } from "./calls-files.ts";
import { nameCalls } from "./calls-names.ts";
import { closed, fuseDescriptors } from "./connection-end.ts";
import { createHeldInodes, type HeldInodes } from "./held-inodes.ts";
import type { FuseClass } from "./load-package.ts";
import { mountOptions } from "./mount-options.ts";
import { createPathConnection } from "./path-connection.ts";
import { createPaths } from "./paths.ts";
import { createReplies } from "./replies.ts";

/** The kernel keeps nothing that could be told to go: only the inodes held here can. */
function notifier(held: HeldInodes): Notifier {
  const dropped = (ino: Ino): Promise<boolean> => {
    held.drop(ino);
    return Promise.resolve(true);
  };
  return {
    invalidateAttributes: dropped,
    invalidateData: dropped,
    invalidateEntry: () => Promise.resolve(true),
    invalidateAllEntries() {
      held.dropAll();
      return Promise.resolve(true);
    },
    canInvalidateAllEntries: true,
  };
}

export async function mountFuseNative(
  Fuse: FuseClass,
  parts: {
    mountPoint: string;
    source: string;
    operations: Operations;
    log: Log;
    clock: Clock;
    /** Further options of mount(8). */
    options: readonly string[];
  },
): Promise<FuseMount> {
  const { source, operations, clock } = parts;
  const log = parts.log.child({ component: "fuse-native" });
  const mountPoint = await checkMountPoint(parts.mountPoint, clock);
  const given = new AbortController();
  setMaxListeners(0, given.signal);
  const replies = createReplies(log, given.signal);
  const held = createHeldInodes((ino, count) => {
    operations.forget(ino, count);
  });
  const callParts = { operations, paths: createPaths(operations, held), held, replies };
  let started: Promise<void> | undefined;
  const connection = createPathConnection(Fuse, {
    mountPoint,
    mountOptions: mountOptions(source, parts.options),
    operations: {
      ...nameCalls(callParts),
      ...fileCalls(callParts),
      init(reply) {
        started = Promise.resolve(operations.start(notifier(held)));
        replies.nothing("init", reply, () => started);
      },
    },
  });

  const before = new Set(fuseDescriptors());
  try {
    await connection.mount();
    await started;
  } catch (cause) {
    await unmount(mountPoint, log);
    throw new FsError("EIO", `mount ${mountPoint}: ${(cause as Error).message}`, { cause });
  }
  // None when it was unmounted meanwhile.
  const descriptor = fuseDescriptors().find((fd) => !before.has(fd));
  log.info({ mountPoint }, "connected to the kernel");

  const ended = (async () => {
    if (descriptor !== undefined) await closed(descriptor, clock);
    log.info({ mountPoint, waiting: replies.waiting }, "unmounted");
    try {
      await operations.stop();
    } finally {
      await connection.letGo();
    }
  })();
  ended.catch((error: unknown) => {
    log.error({ error, mountPoint }, "the filesystem did not stop cleanly");
  });
  return {
    unmount: () => unmount(mountPoint, log),
    ended,
    statistics: {
      requests: replies.requests,
      get waiting() {
        return replies.waiting;
      },
    },
  };
}
