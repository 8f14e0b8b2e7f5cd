/**
 * Mounts for tests: in this process or in one of its own, under a fresh directory of /tmp, always unmounted. Whoever
 * serves a mount never touches it, so tests act through child processes.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";
import { mkdtemp, rmdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { systemClock } from "../../src/base/clock.ts";
import { type Log, silentLog } from "../../src/base/log.ts";
import { type FuseMountOptions, mountFuse } from "../../src/fuse/driver.ts";
import type { Operations } from "../../src/fuse/operations.ts";
import type { FuseMount } from "../../src/fuse/serve.ts";

export interface Outcome {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly err: string;
}

/** Why nothing can be mounted here, or undefined. */
export const cannotMount = ((): string | undefined => {
  if (process.getuid?.() !== 0) return "mounting needs root";
  try {
    accessSync("/dev/fuse", constants.R_OK | constants.W_OK);
    return undefined;
  } catch {
    return "there is no /dev/fuse";
  }
})();

export const hasPython = [
  "/usr/bin/python3",
  "/usr/local/bin/python3",
  `${process.env["HOME"] ?? ""}/.pyenv/shims/python3`,
].some(existsSync);

export interface Mounted {
  readonly path: string;
  readonly fuse: FuseMount;
}

export async function withMount(
  operations: Operations,
  use: (mounted: Mounted) => Promise<void>,
  options: FuseMountOptions & { log?: Log } = {},
): Promise<void> {
  const path = await mkdtemp(join(tmpdir(), "dfs-fuse-"));
  const log = options.log ?? silentLog;
  try {
    const fuse = await mountFuse({ mountPoint: path, source: "test", operations, log, clock: systemClock, options });
    try {
      await use({ path, fuse });
    } finally {
      await fuse.unmount();
      await fuse.ended;
    }
  } finally {
    await rmdir(path);
  }
}

export interface Driver {
  readonly path: string;
  readonly process: ChildProcess;
  readonly exited: Promise<number | null>;
}

/** The in-memory filesystem in a process of its own. */
export async function withDriver(words: readonly string[], use: (driver: Driver) => Promise<void>): Promise<void> {
  const path = await mkdtemp(join(tmpdir(), "dfs-fuse-"));
  const script = fileURLToPath(new URL("./memory-driver.ts", import.meta.url));
  const child = spawn(process.execPath, ["--import=tsx", script, path, ...words], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = new Promise<number | null>((resolve) => child.on("exit", resolve));
  try {
    await new Promise<void>((resolve, reject) => {
      child.stdout.once("data", () => {
        resolve();
      });
      child.on("exit", () => {
        reject(new Error("the driver ended before it had mounted"));
      });
    });
    await use({ path, process: child, exited });
  } finally {
    await run(["umount", "-i", "-l", path]);
    child.kill("SIGCONT");
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    await exited;
    await rmdir(path);
  }
}

export interface Running {
  readonly process: ChildProcess;
  readonly outcome: Promise<Outcome>;
  /** Resolves when the program has written this to standard output. */
  said(text: string): Promise<void>;
}

/**
 * Runs a program in `folder`, to which a shell changes: spawn's own `cwd` would be entered while this thread waits for
 * the program to start, and nobody would serve the mount meanwhile.
 */
export function start(command: readonly string[], folder = "/"): Running {
  const [program = ""] = command;
  const child = spawn("sh", ["-c", 'cd "$0" && exec "$@"', folder, ...command], {
    cwd: "/",
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, LC_ALL: "C" },
  });
  let out = "";
  let err = "";
  child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()));
  const outcome = new Promise<Outcome>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status, signal) => {
      resolve({ status, signal, out, err });
    });
  });
  return {
    process: child,
    outcome,
    said: (text) => until(`"${text}" from ${program}`, () => out.includes(text)),
  };
}

export function run(command: readonly string[], folder?: string): Promise<Outcome> {
  return start(command, folder).outcome;
}

/** Runs a script in `folder`; its standard output. Rejects when it fails. */
export async function python(script: string, folder: string): Promise<string> {
  const { status, out, err } = await run(["python3", "-c", script], folder);
  if (status !== 0) throw new Error(`python3 ended with ${String(status)}: ${err}`);
  return out.trim();
}

export async function shell(script: string, folder: string): Promise<string> {
  const { status, out, err } = await run(["sh", "-e", "-c", script], folder);
  if (status !== 0) throw new Error(`sh ended with ${String(status)}: ${err}`);
  return out.trim();
}

/** Polls, with a cap of 10 s. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 10_000;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`waited 10 s in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
