/**
 * One process per folder. `proper-lockfile` keeps the lock; beside it stands who holds it (pid, start time, boot), and
 * only that decides whether it is stale: a dead holder's lock is taken at once, a living one's never, however old its
 * time stamp looks (a stopped process does not renew it). Taking over is itself locked, so that two cannot do it at once.
 * Nothing's safety rests on this lock: epochs do that. It gives people a clear error.
 *
 * A lock needs room on the disk, and who cannot start there cannot delete anything either: `lock.room` is given up for it.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import lockfile from "proper-lockfile";
import { CommandFailure } from "./failure.ts";
import { identify, isAlive, parseIdentity } from "./processes.ts";

/** Never stale by age: one year. */
const neverMillis = 365 * 24 * 3_600_000;
const takeoverMillis = 10_000;

export interface FolderLock {
  release(): Promise<void>;
}

/** Makes the folder if needed. Throws CommandFailure when another living process holds it, or its disk is full. */
export async function lockFolder(folder: string): Promise<FolderLock> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const room = join(folder, "lock.room");
  try {
    const lock = await take(folder).catch((error: unknown) => {
      if (!isFull(error)) throw error;
      rmSync(room, { force: true });
      return take(folder);
    });
    keepRoom(room);
    return lock;
  } catch (cause) {
    if (!isFull(cause)) throw cause;
    throw new CommandFailure(`the disk of ${folder} is full: make room on it, then start again`, { cause });
  }
}

async function take(folder: string): Promise<FolderLock> {
  const holderFile = join(folder, "holder.json");
  // proper-lockfile knows a lock by its first argument: the two need different ones.
  const releaseTakeover = await lockfile.lock(join(folder, "takeover"), {
    realpath: false,
    stale: takeoverMillis,
    retries: { retries: 60, factor: 1, minTimeout: 250, maxTimeout: 250 },
  });
  try {
    const path = join(folder, "folder.lock");
    if (await lockfile.check(folder, { lockfilePath: path, stale: neverMillis })) {
      const holder = readHolder(holderFile);
      if (holder !== undefined && isAlive(holder)) {
        throw new CommandFailure(
          `${folder} is in use by process ${String(holder.pid)}: stop it, or choose another folder`,
        );
      }
      rmSync(path, { recursive: true, force: true });
    }
    const release = await lockfile.lock(folder, {
      lockfilePath: path,
      stale: neverMillis,
      update: 60_000,
      onCompromised: (error) => {
        throw error;
      },
    });
    try {
      writeFileSync(holderFile, JSON.stringify(identify(process.pid)));
    } catch (error) {
      await release();
      throw error;
    }
    return { release };
  } finally {
    await releaseTakeover();
  }
}

/** Two folders and a file, and one more block. */
const roomBytes = 16 * 1024;

/** For the next start. Without room for it now there is none. */
function keepRoom(path: string): void {
  try {
    if (!existsSync(path)) writeFileSync(path, Buffer.alloc(roomBytes, 1));
  } catch (error) {
    if (!isFull(error)) throw error;
    rmSync(path, { force: true });
  }
}

function isFull(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOSPC";
}

function readHolder(path: string): ReturnType<typeof parseIdentity> {
  try {
    return parseIdentity(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}
