/**
 * Starting a dfs process in the background: its output goes to a log file, and the starter waits until the process says
 * over its IPC channel that it serves, or why it cannot.
 */
import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { CommandFailure } from "./failure.ts";
import { identify, isAlive, isEnding, parseIdentity, type ProcessIdentity } from "./processes.ts";

/** A process that was killed gives its memory back, and waits for its disk. */
const endingMillis = 10_000;

/** What the started process sends, once. */
export type Report =
  { readonly kind: "ready" } | { readonly kind: "failed"; readonly message: string; readonly status: number };

export function reportReady(): void {
  report({ kind: "ready" });
}

export function reportFailure(message: string, status: number): void {
  report({ kind: "failed", message, status });
}

function report(message: Report): void {
  if (process.send === undefined || !process.connected) return;
  process.send(message, () => {
    if (process.connected) process.disconnect();
  });
}

/** The program that runs: `node dist/cli/main.js`. */
export function program(): { command: string; args: string[] } {
  const script = process.argv[1];
  if (script === undefined) throw new CommandFailure("cannot tell which program this is");
  return { command: process.execPath, args: [...process.execArgv, script] };
}

/**
 * Starts `dfs ...args`, resolves with its pid when it is ready. Throws CommandFailure with the process' own message and
 * status when it fails or ends before.
 */
export async function startDaemon(
  args: readonly string[],
  options: { logFile: string; pidFile?: string },
): Promise<number> {
  const { command, args: first } = program();
  const log = openSync(options.logFile, "a", 0o640);
  const child = spawn(command, [...first, ...args], {
    detached: true,
    stdio: ["ignore", log, log, "ipc"],
    cwd: "/",
  });
  closeSync(log);
  const outcome = await new Promise<Report>((resolve) => {
    child.once("message", (message) => {
      resolve(message as Report);
    });
    child.once("error", (error) => {
      resolve({ kind: "failed", message: `cannot start ${command}: ${error.message}`, status: 1 });
    });
    child.once("exit", (code, signal) => {
      const how = signal === null ? `status ${String(code)}` : signal;
      resolve({ kind: "failed", message: `it ended with ${how}; see ${options.logFile}`, status: code ?? 1 });
    });
  });
  if (outcome.kind === "failed") throw new CommandFailure(outcome.message, { status: outcome.status });
  if (child.connected) child.disconnect();
  child.unref();
  const pid = child.pid as number;
  if (options.pidFile !== undefined) writePidFile(options.pidFile, pid);
  return pid;
}

/** A pid file has the pid in its first line, for people and scripts, and who exactly that was in its second. */
export function writePidFile(path: string, pid: number): void {
  writeFileSync(path, `${String(pid)}\n${JSON.stringify(identify(pid) ?? {})}\n`);
}

/** The process of a pid file, if it is still that one and alive. */
export function livingProcess(path: string): ProcessIdentity | undefined {
  try {
    const identity = parseIdentity(readFileSync(path, "utf8").split("\n")[1] ?? "");
    return identity !== undefined && isAlive(identity) ? identity : undefined;
  } catch {
    return undefined;
  }
}

/** Waits for a process that was killed until it is gone; resolves with one that lives on. */
export async function unlessEnding(process: ProcessIdentity | undefined): Promise<ProcessIdentity | undefined> {
  if (process === undefined || !isEnding(process)) return process;
  if (await ended(process, endingMillis)) return undefined;
  throw new CommandFailure(`process ${String(process.pid)} was killed and does not end: does its disk hang?`);
}

/** SIGTERM, up to `millis` of patience, then SIGKILL. */
export async function stopProcess(identity: ProcessIdentity, millis: number): Promise<void> {
  process.kill(identity.pid, "SIGTERM");
  if (await ended(identity, millis)) return;
  process.kill(identity.pid, "SIGKILL");
  await ended(identity, 5_000);
}

export async function ended(identity: ProcessIdentity, millis: number): Promise<boolean> {
  const end = performance.now() + millis;
  while (isAlive(identity)) {
    if (performance.now() > end) return false;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return true;
}
