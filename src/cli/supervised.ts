/**
 * The driver's side of its supervision: it says every second that its event loop turns, what another driver would need to
 * go on, and hears when the supervisor is gone.
 */
import type { Clock } from "../base/clock.ts";
import type { SessionId } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import type { Negotiated } from "../fuse/negotiate.ts";
import type { KnownServers } from "../remote/types.ts";
import type { FromDriver, Start } from "./supervision.ts";

export interface Supervisor {
  readonly start: Start;
  connected(negotiated: Negotiated, device: string | undefined): void;
  session(session: SessionId): void;
  servers(servers: KnownServers): void;
  ready(): void;
  ending(): void;
  over(): void;
  /** Resolves when the supervisor is gone. */
  readonly lost: Promise<void>;
}

/** Beats from now on; resolves when the supervisor has said what to do. */
export async function meetSupervisor(clock: Clock): Promise<Supervisor> {
  const { channel } = process;
  const lost = new Promise<void>((resolve) => process.once("disconnect", resolve));
  const start = await new Promise<Start>((resolve) => {
    process.once("message", (message) => {
      resolve(message as Start);
    });
    beat(clock);
  });
  // Waiting for its news keeps no process alive.
  channel?.unref();
  return {
    start,
    connected(negotiated, device) {
      send({ kind: "connected", negotiated, device });
    },
    session(session) {
      send({ kind: "session", session });
    },
    servers(servers) {
      send({ kind: "servers", servers });
    },
    ready() {
      send({ kind: "ready" });
    },
    ending() {
      send({ kind: "ending" });
    },
    over() {
      send({ kind: "over" });
    },
    lost,
  };
}

/** One at a time: nothing piles up while the supervisor stands still. */
function beat(clock: Clock): void {
  send({ kind: "beat" }, () => {
    clock.after(
      limits.driverBeatMillis,
      () => {
        beat(clock);
      },
      { unref: true },
    );
  });
}

/** A supervisor that is gone is told nothing; `lost` says so. */
function send(message: FromDriver, sent: () => void = () => undefined): void {
  if (process.send === undefined || !process.connected) return;
  process.send(message, sent);
}
