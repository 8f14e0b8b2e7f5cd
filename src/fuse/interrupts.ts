/**
 * INTERRUPT: which requests are given up. A waiting lock always; anything else only when its process is being killed,
 * because Ctrl-Z and every handled signal send INTERRUPT too, and EINTR from stat is wrong.
 *
 * The kernel sends one INTERRUPT per request, at the first signal. A kill that follows is told by nobody, so an
 * interrupted request's process is looked at again until the request is answered. An INTERRUPT may overtake its
 * request (several readers): it is remembered.
 */
import { readFile } from "node:fs/promises";
import type { Clock, Timer } from "../base/clock.ts";
import { errnoOf } from "../base/errno.ts";
import type { Log } from "../base/log.ts";
import { opcodes } from "./abi-opcodes.ts";
import type { KernelRequest } from "./kernel-request.ts";

const lookAgainMillis = 200;
/** Only as many can overtake as there are readers; the rest are requests that have been answered meanwhile. */
const earlyMax = 64;

export class Interrupts {
  private readonly clock: Clock;
  private readonly log: Log;
  private readonly isKilled: (pid: number) => Promise<boolean>;
  private readonly early = new Set<number>();
  private readonly timers = new Map<KernelRequest, Timer>();
  private closed = false;

  constructor(clock: Clock, log: Log, isKilled: (pid: number) => Promise<boolean> = hasPendingKill) {
    this.clock = clock;
    this.log = log;
    this.isKilled = isKilled;
  }

  /** @param request the one to give up, if it is waiting here */
  arrived(key: number, request: KernelRequest | undefined): void {
    if (request !== undefined) {
      this.consider(request);
      return;
    }
    this.early.add(key);
    for (const oldest of this.early) {
      if (this.early.size <= earlyMax) break;
      this.early.delete(oldest);
    }
  }

  /** A request has begun to wait. */
  waiting(request: KernelRequest): void {
    if (this.early.size > 0 && this.early.delete(request.key)) this.consider(request);
  }

  answered(request: KernelRequest): void {
    if (this.timers.size === 0) return;
    this.timers.get(request)?.cancel();
    this.timers.delete(request);
  }

  close(): void {
    this.closed = true;
    for (const timer of this.timers.values()) timer.cancel();
    this.timers.clear();
  }

  private consider(request: KernelRequest): void {
    if (request.opcode === opcodes.setlkw) request.interrupt();
    else if (request.pid !== 0) void this.lookForKill(request);
  }

  private async lookForKill(request: KernelRequest): Promise<void> {
    const killed = await this.isKilled(request.pid).catch((error: unknown) => {
      this.log.warn({ error, pid: request.pid }, "could not see whether an interrupted process is being killed");
      return false;
    });
    if (request.answered || this.closed) return;
    if (killed) {
      request.interrupt();
      return;
    }
    const again = (): void => {
      this.timers.delete(request);
      void this.lookForKill(request);
    };
    this.timers.set(request, this.clock.after(lookAgainMillis, again, { unref: true }));
  }
}

const killBit = 1n << 8n; // SIGKILL is 9, bits count from signal 1

/** proc(5): SigPnd are the thread's pending signals, ShdPnd the process'. A process that is not seen is not killed. */
export async function hasPendingKill(pid: number): Promise<boolean> {
  let status: string;
  try {
    status = await readFile(`/proc/${String(pid)}/status`, "latin1");
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "ENOENT" || errno === "ESRCH") return false;
    throw error;
  }
  return [...status.matchAll(/^(?:SigPnd|ShdPnd):\s*([0-9a-f]+)$/gm)].some(
    ([, mask]) => (BigInt(`0x${mask ?? "0"}`) & killBit) !== 0n,
  );
}
