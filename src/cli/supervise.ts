/**
 * The small process that holds a mount: it opens /dev/fuse, starts the driver that serves it, and starts another one with
 * the same device when the driver dies or stands still. What the kernel keeps under a lease is so dropped before the
 * lease's session can expire, and programs wait meanwhile.
 *
 * It imports as little as possible: it has to stay small, and there when the driver runs out of memory. From outside it is
 * the client: its pid is in the pid files, it ends when the mount is gone.
 */
import { closeSync, existsSync, mkdirSync, openSync, rmSync, writeSync } from "node:fs";
import { sleep, systemClock } from "../base/clock.ts";
import { errnoOf } from "../base/errno.ts";
import type { Ino, SessionId } from "../base/ids.ts";
import type { Log } from "../base/log.ts";
import { openDevice } from "../fuse/device.ts";
import { encodeInvalidateInode } from "../fuse/encode-notification.ts";
import { generationMax } from "../fuse/handle-ranges.ts";
import { notedIn, type NoteFiles } from "../fuse/kernel-pages.ts";
import { endMount } from "../fuse/mount.ts";
import type { KnownServers } from "../remote/types.ts";
import { reportFailure, reportReady } from "./daemon.ts";
import { startDriver, type DriverEnd, type DriverProcess } from "./driver-process.ts";
import { recordMount, recordServers, runtimeFolder } from "./mounts.ts";
import { createPlainLog } from "./plain-log.ts";
import { createRestartBudget } from "./restart-budget.ts";
import type { Estate } from "./supervision.ts";

type Connected = Omit<Estate, "sessions" | "servers">;

/** Further ones have ended long since. */
const sessionsMax = 16;

/** @param args of `dfs`, to start a driver */
export async function superviseMount(mountPoint: string, args: readonly string[]): Promise<number> {
  const log = createPlainLog("supervisor", { mountPoint });
  const fds = { device: openDevice(), notes: openNotes() };
  const budget = createRestartBudget(systemClock);
  let estate: Connected | undefined;
  let sessions: readonly SessionId[] = [];
  let servers: KnownServers | undefined;
  let record: { forget(): void } | undefined;
  let driver: DriverProcess | undefined;
  const stopping = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      stopping.abort();
      driver?.terminate();
    });
  }
  try {
    for (let generation = 0; ; generation++) {
      driver = startDriver({
        args,
        fds,
        start: { generation, estate: estate && { ...estate, sessions, servers } },
        log,
        news: {
          connected(negotiated, device) {
            estate = { negotiated, device };
          },
          session(session) {
            sessions = [...sessions, session].slice(-sessionsMax);
          },
          servers(known) {
            servers = known;
            try {
              recordServers(mountPoint, known);
            } catch (error) {
              log.warn({ problem: String(error) }, "other commands cannot be told where this mount's servers are");
            }
          },
          ready() {
            sessions = sessions.slice(-1);
            if (record !== undefined) return;
            record = recordMount(mountPoint);
            reportReady();
          },
        },
      });
      const end = await driver.ended;
      if (record === undefined) return await failed(end, { mountPoint, estate, fds, log });
      if (end.over) return end.status;
      log.error({ how: end.how, why: end.failure, generation }, "the driver has ended, the mount has not");
      const isLast = stopping.signal.aborted || end.ending || generation === generationMax;
      const pause = isLast ? undefined : pauseBeforeNext(estate, budget.next(), log);
      if (pause === undefined) {
        await giveUp({ mountPoint, estate, fds, log });
        return 1;
      }
      await sleep(systemClock, pause);
    }
  } finally {
    record?.forget();
    for (const fd of [fds.device, ...fds.notes]) closeSync(fd);
  }
}

interface Held {
  readonly mountPoint: string;
  /** Undefined: not mounted yet. */
  readonly estate: Connected | undefined;
  readonly fds: { readonly device: number; readonly notes: NoteFiles };
  readonly log: Log;
}

/** The first driver has not mounted, and has said why. */
async function failed(end: DriverEnd, held: Held): Promise<number> {
  if (held.estate !== undefined && !end.over) await giveUp(held);
  const status = end.status === 0 ? 1 : end.status;
  if (end.failure === undefined) held.log.error({ how: end.how }, "the driver ended before it had mounted");
  reportFailure(end.failure ?? `the driver ended before it had mounted: ${end.how}`, status);
  return status;
}

function pauseBeforeNext(estate: Connected | undefined, pause: number | undefined, log: Log): number | undefined {
  if (estate?.negotiated.canResend !== true) {
    log.error({}, "this kernel cannot hand a mount to another driver (that came with Linux 6.9)");
    return undefined;
  }
  if (pause === undefined) log.error({}, "too many drivers of this mount have died within a minute");
  return pause;
}

/**
 * Whoever waits gets an error; the directory below is there again. Files that are still open could show what the kernel
 * keeps of them: that is dropped, now that no unanswered request has it locked.
 */
async function giveUp({ mountPoint, estate, fds, log }: Held): Promise<void> {
  log.error({}, "the mount ends: programs that use it get errors, what was not fsynced may be lost");
  if (estate?.device === undefined) return;
  try {
    await endMount(mountPoint, estate.device);
  } catch (error) {
    // The last holder of the device ends now: that, too, ends the connection.
    log.error({ problem: String(error) }, "the mount was not detached: umount it");
    return;
  }
  for (const ino of notedIn(fds.notes)) dropPages(fds.device, ino, log);
}

/** An inode that the kernel has let go needs nothing. */
function dropPages(device: number, ino: Ino, log: Log): void {
  try {
    writeSync(device, encodeInvalidateInode(ino, 0, 0));
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") log.warn({ ino, errno: errnoOf(error) }, "pages of an inode were not dropped");
  }
}

/** Where this is missing a disk serves: only its cache is written, nothing waits for it. */
const sharedMemory = "/dev/shm";

/** In memory, without a name: they live as long as one of the processes that have them open. */
function openNotes(): [number, number] {
  const folder = existsSync(sharedMemory) ? sharedMemory : runtimeFolder;
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  const open = (which: string): number => {
    const path = `${folder}/dfs-notes-${String(process.pid)}-${which}`;
    rmSync(path, { force: true });
    const fd = openSync(path, "ax+", 0o600);
    rmSync(path);
    return fd;
  };
  return [open("a"), open("b")];
}
