/**
 * Reading /dev/fuse in threads of the libuv pool, for Nodes without what `loop-reads.ts` needs.
 *
 * Each reader holds a thread for as long as the mount lives; the pool must be larger (UV_THREADPOOL_SIZE), or nothing
 * else of the process gets on. While they wait, process.exit() does not return: end the connection first (umount), or
 * use SIGKILL.
 */
import { FsError } from "../base/errno.ts";
import type { Log } from "../base/log.ts";

const readersWished = 2;
const poolThreadsDefault = 4;
/** By all mounts of this process. */
let poolThreadsTaken = 0;

export interface PoolThreads {
  /** So many reads may wait at the same time. */
  readonly count: number;
  giveBack(): void;
}

/** At least one thread of the pool stays for everything else, two if that allows one reader. EAGAIN: there is none. */
export function takePoolThreads(log: Log): PoolThreads {
  const pool = Number(process.env["UV_THREADPOOL_SIZE"] ?? poolThreadsDefault);
  const count = Math.max(1, Math.min(readersWished, pool - 2 - poolThreadsTaken));
  if (poolThreadsTaken + count >= pool) {
    const advice = `set UV_THREADPOOL_SIZE to at least ${String(poolThreadsTaken + count + 2)}`;
    throw new FsError("EAGAIN", `the thread pool of this process is full of readers of /dev/fuse: ${advice}`);
  }
  if (count < readersWished) log.warn({ count, pool }, "fewer readers of /dev/fuse: UV_THREADPOOL_SIZE is small");
  poolThreadsTaken += count;
  return {
    count,
    giveBack() {
      poolThreadsTaken -= count;
    },
  };
}
