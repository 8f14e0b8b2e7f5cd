/**
 * One driver as a child of the supervisor, from its start to its end: started with the device and what the one before
 * it left, heard, killed when it stands still.
 *
 * It ends for the supervisor when it has exited, or a moment after SIGKILL: a thread of it that waits in the kernel for a
 * page's lock keeps a killed process there until the next driver has answered the request that holds the lock. None
 * of its own instructions runs any more.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { systemClock } from "../base/clock.ts";
import type { SessionId } from "../base/ids.ts";
import type { Log } from "../base/log.ts";
import type { Negotiated } from "../fuse/negotiate.ts";
import type { KnownServers } from "../remote/types.ts";
import { program } from "./daemon.ts";
import { watchDriver } from "./driver-watch.ts";
import type { FromDriver, Start } from "./supervision.ts";

export interface DriverEnd {
  /** Exit status; of a killed one 1. */
  readonly status: number;
  /** For people. */
  readonly how: string;
  /** It said that it was about to unmount. */
  readonly ending: boolean;
  /** The mount is gone. */
  readonly over: boolean;
  /** It said why it cannot do its work. */
  readonly failure: string | undefined;
}

export interface DriverNews {
  connected(negotiated: Negotiated, device: string | undefined): void;
  session(session: SessionId): void;
  servers(servers: KnownServers): void;
  ready(): void;
}

export interface DriverProcess {
  readonly ended: Promise<DriverEnd>;
  /** SIGTERM: unmounts, flushes, ends. Once more: ends at once. */
  terminate(): void;
}

const killedMillis = 1_000;

export function startDriver(parts: {
  args: readonly string[];
  fds: { readonly device: number; readonly notes: readonly [number, number] };
  start: Start;
  news: DriverNews;
  log: Log;
}): DriverProcess {
  const { args, fds, start, news, log } = parts;
  const { command, args: first } = program();
  const child = spawn(command, [...first, ...args], {
    stdio: ["ignore", "inherit", "inherit", "ipc", fds.device, ...fds.notes],
    cwd: "/",
    // Signals of a terminal are for the supervisor, which passes them on.
    detached: true,
  });
  const said: { ending: boolean; over: boolean; failure: string | undefined } = {
    ending: false,
    over: false,
    failure: undefined,
  };
  const ended = new Promise<DriverEnd>((resolve) => {
    const end = (status: number, how: string): void => {
      watch.close();
      child.removeAllListeners("message");
      resolve({ status, how, ...said });
    };
    const watch = watchDriver(systemClock, (millis) => {
      log.error({ driver: child.pid, silentMillis: Math.round(millis) }, "the driver stands still: it is killed");
      child.kill("SIGKILL");
      setTimeout(end, killedMillis, 1, "standing still");
    });
    child.on("error", (error) => {
      end(1, error.message);
    });
    child.on("exit", (code, signal) => {
      end(code ?? 1, signal ?? `status ${String(code)}`);
    });
    child.on("message", (message) => {
      hear(message as FromDriver);
    });
    const hear = (message: FromDriver): void => {
      watch.heard();
      switch (message.kind) {
        case "beat":
          return;
        case "connected":
          news.connected(message.negotiated, message.device);
          return;
        case "session":
          news.session(message.session);
          return;
        case "servers":
          news.servers(message.servers);
          return;
        case "ready":
          news.ready();
          return;
        case "ending":
          said.ending = true;
          return;
        case "over":
          said.over = true;
          // The kernel keeps nothing of it any more, and it may have much to flush.
          watch.close();
          return;
        case "failed":
          said.failure = message.message;
      }
    };
  });
  tell(child, start, log);
  return {
    ended,
    terminate() {
      child.kill("SIGTERM");
    },
  };
}

/** One that has died before hearing it is dealt with by its end. */
function tell(child: ChildProcess, start: Start, log: Log): void {
  child.send(start, (error) => {
    if (error !== null) log.warn({ driver: child.pid, problem: error.message }, "the driver did not hear its start");
  });
}
