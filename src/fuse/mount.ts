/**
 * Mounting and unmounting, by the system's own `mount` and `umount` in child processes: no native code, the helpers of
 * /sbin are left out (-i), source and mount point are taken as they are (-c).
 *
 * Nothing here touches the mounted directory: the serving process would wait for itself. That holds for starting a
 * program too, for which this thread waits: no working directory and no PATH that may lie in the mount.
 */
import { spawn } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { FsError } from "../base/errno.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import { findMount, type MountedAt } from "./mount-table.ts";

export interface MountParameters {
  /** Absolute, without symbolic links: from `checkMountPoint`. */
  readonly mountPoint: string;
  /** What the list of mounts shows as the device. */
  readonly source: string;
  /** Of the open /dev/fuse. */
  readonly fd: number;
  /** Further options of mount(8), as "ro" or "noatime". */
  readonly options: readonly string[];
}

/** "fuse." and a subtype. */
const filesystemType = "fuse.dfs";
/** The kernel starts at 128 KiB. */
const readAheadKilobytes = 1024;

export async function mount(parameters: MountParameters): Promise<void> {
  const options = [
    "fd=3",
    "rootmode=40000",
    "user_id=0",
    "group_id=0",
    "allow_other",
    "default_permissions",
    `max_read=${String(limits.fuseWriteBytesMax)}`,
    ...parameters.options,
  ];
  const { source, mountPoint, fd } = parameters;
  const done = await run(
    "mount",
    ["-i", "-c", "-t", filesystemType, "-o", options.join(","), "--", source, mountPoint],
    fd,
  );
  if (done.status !== 0) throw new FsError("EIO", `mount ${mountPoint}: ${done.message}`);
}

/** Makes the kernel read in large pieces. To be called after INIT, which sets it too. */
export async function raiseReadAhead(mountPoint: string, log: Log): Promise<void> {
  const mounted = await mountedAt(mountPoint);
  if (mounted === undefined) return;
  const file = `/sys/class/bdi/${mounted.device}/read_ahead_kb`;
  try {
    await writeFile(file, String(readAheadKilobytes));
  } catch (error) {
    log.warn({ error, file }, "the kernel's read-ahead stays small");
  }
}

/**
 * Unmounts; where files are still in use, detaches: the name is free at once, the connection lives until the last
 * file is closed. Done too when nothing is mounted there any more.
 */
export async function unmount(mountPoint: string, log: Log): Promise<void> {
  const done = await run("umount", ["-i", "-c", "--", mountPoint]);
  if (done.status === 0 || (await mountedAt(mountPoint))?.type !== filesystemType) return;
  log.warn({ mountPoint, reason: done.message }, "the mount is in use: detaching it, files that are open stay usable");
  const detached = await run("umount", ["-i", "-c", "-l", "--", mountPoint]);
  if (detached.status === 0 || (await mountedAt(mountPoint))?.type !== filesystemType) return;
  throw new FsError("EBUSY", `umount ${mountPoint}: ${detached.message}`);
}

/**
 * Ends a connection that nobody serves: who waits gets ECONNABORTED, who asks later ENOTCONN (or finds the directory
 * below). Done too when this mount is no longer there.
 */
export async function endMount(mountPoint: string, device: string): Promise<void> {
  if ((await mountedAt(mountPoint))?.device !== device) return;
  const done = await run("umount", ["-i", "-c", "-f", "-l", "--", mountPoint]);
  if (done.status === 0 || (await mountedAt(mountPoint))?.device !== device) return;
  throw new FsError("EBUSY", `umount ${mountPoint}: ${done.message}`);
}

export async function mountedAt(mountPoint: string): Promise<MountedAt | undefined> {
  return findMount(await readFile("/proc/self/mountinfo", "utf8"), mountPoint);
}

/** Programs of the system only, speaking English. */
export const systemEnvironment = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" } as const;

interface Finished {
  readonly status: number;
  /** What it said on standard error, in one line. */
  readonly message: string;
}

/** @param fd given to the child as its descriptor 3 */
function run(command: string, args: readonly string[], fd?: number): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ["ignore", "ignore", "pipe", ...(fd === undefined ? [] : [fd])],
      env: systemEnvironment,
    });
    const said: Buffer[] = [];
    child.stderr?.on("data", (chunk: Buffer) => said.push(chunk));
    child.on("error", (cause) => {
      reject(new FsError("EIO", `cannot run ${command}: is util-linux installed?`, { cause }));
    });
    child.on("close", (code, signal) => {
      const message = Buffer.concat(said)
        .toString("utf8")
        .trim()
        .replaceAll(/\s*\n\s*/g, "; ");
      resolve({ status: code ?? 1, message: message === "" ? `ended with ${String(signal ?? code)}` : message });
    });
  });
}
