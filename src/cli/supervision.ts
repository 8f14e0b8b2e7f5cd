/** What a supervisor and the driver that it has started say to each other, over the driver's IPC channel. */
import type { SessionId } from "../base/ids.ts";
import type { Negotiated } from "../fuse/negotiate.ts";
import type { KnownServers } from "../remote/types.ts";
import type { Report } from "./daemon.ts";

/** Descriptors that a driver is started with: the device, and the notes about the kernel's pages. */
export const driverFds = { device: 4, notes: [5, 6] } as const;

/** The mount as the drivers so far have left it. */
export interface Estate {
  readonly negotiated: Negotiated;
  /** Of the mount (`MountedAt.device`). */
  readonly device: string | undefined;
  /** Those that may not have ended. */
  readonly sessions: readonly SessionId[];
  /** Absent: none was opened. */
  readonly servers?: KnownServers | undefined;
}

/** First message to a driver. */
export interface Start {
  /** How many drivers this mount had before. */
  readonly generation: number;
  /** Absent: it mounts. */
  readonly estate?: Estate | undefined;
}

export type FromDriver =
  /** Its event loop turns. */
  | { readonly kind: "beat" }
  | { readonly kind: "connected"; readonly negotiated: Negotiated; readonly device: string | undefined }
  /** It has opened a session: the latest. */
  | { readonly kind: "session"; readonly session: SessionId }
  /** It has a connection to a name server: the latest. */
  | { readonly kind: "servers"; readonly servers: KnownServers }
  /** It is about to unmount, and then to end. */
  | { readonly kind: "ending" }
  /** The mount is gone: nothing to take over. */
  | { readonly kind: "over" }
  /** "ready": mounted, or taken over and all sessions before its own have ended. */
  | Report;
