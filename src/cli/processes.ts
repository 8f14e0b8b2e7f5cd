/** What /proc knows about processes: to tell a living one from a number that was used again. */
import { readFileSync } from "node:fs";

export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks from boot to its start (field 22 of /proc/PID/stat). */
  readonly startTicks: number;
  /** Which boot that was. */
  readonly boot: string;
}

export function identify(pid: number): ProcessIdentity | undefined {
  try {
    const stat = readFileSync(`/proc/${String(pid)}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // A zombie has ended: only its parent has not noticed.
    if (fields[0] === "Z" || fields[0] === "X") return undefined;
    return { pid, startTicks: Number(fields[19]), boot: bootId() };
  } catch {
    return undefined;
  }
}

export function isAlive(identity: ProcessIdentity): boolean {
  const now = identify(identity.pid);
  return now?.startTicks === identity.startTicks && now.boot === identity.boot;
}

/** Killed, but not yet gone. */
export function isEnding({ pid }: ProcessIdentity): boolean {
  try {
    const of = `/proc/${String(pid)}`;
    return saysEnding(readFileSync(`${of}/status`, "utf8"), readFileSync(`${of}/stat`, "utf8"));
  } catch {
    return false;
  }
}

/** Whether SIGKILL waits for the process, or it already takes itself apart; by its `status` and `stat` in /proc. */
export function saysEnding(status: string, stat: string): boolean {
  const pending = [...status.matchAll(/^(?:SigPnd|ShdPnd):\s*([0-9a-f]+)$/gm)];
  if (pending.some(([, mask]) => (BigInt(`0x${mask ?? "0"}`) & sigkillBit) !== 0n)) return true;
  const flags = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[6]);
  return (flags & exitingFlag) !== 0;
}

/** Signal 9 in the masks of /proc/PID/status; PF_EXITING in the flags of /proc/PID/stat. */
const sigkillBit = 1n << 8n;
const exitingFlag = 4;

export function bootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

/** Parses what JSON.stringify made of an identity; undefined if it is something else. */
export function parseIdentity(text: string): ProcessIdentity | undefined {
  try {
    const value = JSON.parse(text) as Partial<ProcessIdentity> | null;
    if (typeof value?.pid !== "number" || typeof value.startTicks !== "number" || typeof value.boot !== "string") {
      return undefined;
    }
    return { pid: value.pid, startTicks: value.startTicks, boot: value.boot };
  } catch {
    return undefined;
  }
}
