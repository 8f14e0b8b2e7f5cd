/** Whether something can be mounted at a path, and if not, why, in a sentence that says what to do. */
import { spawn } from "node:child_process";
import { realpath, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import type { Clock } from "../base/clock.ts";
import { errnoOf, FsError } from "../base/errno.ts";
import { mountedAt, systemEnvironment } from "./mount.ts";

const probeMillis = 1_000;
/** ENOTCONN, and ECONNABORTED when the connection ended while this waited. */
const deadErrors = ["Transport endpoint is not connected", "Software caused connection abort"];

/** Returns the path without symbolic links. Does not touch what is mounted there already: that may never answer. */
export async function checkMountPoint(path: string, clock: Clock): Promise<string> {
  if (process.getuid?.() !== 0) throw new FsError("EPERM", `mounting ${path} needs root: run it with sudo`);
  const given = resolve(path);
  const folder = await explained(`the folder of the mount point ${path}`, realpath(dirname(given)));
  await refuseMounted(join(folder, basename(given)), clock);
  const real = await explained(`the mount point ${path} (mkdir -p ${path})`, realpath(given));
  await refuseMounted(real, clock);
  const found = await explained(`the mount point ${path}`, stat(real));
  if (!found.isDirectory()) throw new FsError("ENOTDIR", `the mount point ${path} is not a directory`);
  return real;
}

async function refuseMounted(path: string, clock: Clock): Promise<void> {
  const mounted = await mountedAt(path);
  if (mounted === undefined) return;
  const what = `${path} is already the mount point of ${mounted.source} (${mounted.type})`;
  const advice = {
    answers: `umount ${path} first, or choose another directory`,
    dead: `its process has died (Transport endpoint is not connected): umount ${path}, then try again`,
    silent: `it does not answer: umount -f -l ${path}, then try again`,
  };
  throw new FsError("EBUSY", `${what}; ${advice[await probeMount(path, clock)]}`);
}

/** Asks from a child process: a mount whose server stands still would hold one of our own threads for ever. */
export function probeMount(path: string, clock: Clock): Promise<"answers" | "dead" | "silent"> {
  return new Promise((resolveProbe) => {
    const child = spawn("stat", ["-f", "--", path], {
      stdio: ["ignore", "ignore", "pipe"],
      env: systemEnvironment,
    });
    let said = "";
    child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString("utf8")));
    const timer = clock.after(probeMillis, () => {
      child.kill("SIGKILL");
      child.unref();
      resolveProbe("silent");
    });
    child.on("error", () => {
      timer.cancel();
      resolveProbe("answers");
    });
    child.on("close", () => {
      timer.cancel();
      resolveProbe(deadErrors.some((error) => said.includes(error)) ? "dead" : "answers");
    });
  });
}

async function explained<T>(what: string, promise: Promise<T>): Promise<T> {
  try {
    return await promise;
  } catch (cause) {
    const errno = errnoOf(cause);
    throw new FsError(errno, errno === "ENOENT" ? `${what} does not exist` : what, { cause });
  }
}
