/** What this driver and the kernel agree on at INIT: a pure function of what the kernel offers. */
import { FsError } from "../base/errno.ts";
import { limits } from "../base/limits.ts";
import { initFlags, initFlags2, protocol } from "./abi-flags.ts";
import type { KernelInit } from "./decode.ts";
import type { InitReply } from "./encode.ts";

export interface NegotiationOptions {
  /**
   * "cluster": flock and fcntl locks are the filesystem's. "local": the kernel keeps them, they hold on this machine only,
   * and closing a file needs no FLUSH (calls-local-locks.ts).
   */
  readonly locks: "cluster" | "local";
}

export interface Negotiated {
  readonly reply: InitReply;
  /** SETXATTR carries its longer structure. */
  readonly setxattrExtended: boolean;
  /** INC_EPOCH may be sent. */
  readonly canIncrementEpoch: boolean;
  /** Unanswered requests can be asked for again: without that another driver cannot take the mount over. */
  readonly canResend: boolean;
  /** OPEN carries O_TRUNC. */
  readonly atomicTruncate: boolean;
  /** Flags that were wanted and are not offered, for the log. */
  readonly missing: readonly string[];
}

type Flag = keyof typeof initFlags;
type Flag2 = keyof typeof initFlags2;

const wanted: readonly Flag[] = [
  "asyncRead",
  "exportSupport",
  "bigWrites",
  "dontMask",
  "readdirplus",
  "readdirplusAuto",
  "asyncDirectIo",
  "parallelDirops",
  "posixAcl",
  "maxPages",
  "cacheSymlinks",
  "explicitInvalData",
  "atomicTruncate",
  "handleKillprivV2",
  "setxattrExt",
  "initExt",
];
const wantedForCluster: readonly Flag[] = ["posixLocks", "flockLocks"];
const wanted2: readonly Flag2[] = ["createSuppGroup", "directIoAllowMmap", "hasResend"];

const pageBytes = 4096;
/** So many that asynchronous requests are never held back in the kernel, where they would hold their pages' locks. */
const maxBackground = 65_535;

export function negotiate(kernel: KernelInit, options: NegotiationOptions): Negotiated {
  if (kernel.major !== protocol.major || kernel.minor < protocol.minorMin) {
    throw new FsError(
      "EPROTO",
      `the kernel speaks FUSE ${String(kernel.major)}.${String(kernel.minor)}; ` +
        `needed is ${String(protocol.major)}.${String(protocol.minorMin)} (Linux 5.4) or newer`,
    );
  }
  const names = options.locks === "cluster" ? [...wanted, ...wantedForCluster] : wanted;
  const minor = Math.min(kernel.minor, protocol.minorMax);
  const flags = sum(names.map((name) => offered(kernel.flags, initFlags[name])));
  const extended = (flags & initFlags.initExt) !== 0;
  const flags2 = extended ? sum(wanted2.map((name) => offered(kernel.flags2, initFlags2[name]))) : 0;
  return {
    reply: {
      minor,
      maxReadahead: limits.fuseWriteBytesMax,
      flags,
      flags2,
      maxBackground,
      congestionThreshold: Math.floor((maxBackground * 3) / 4),
      maxWriteBytes: limits.fuseWriteBytesMax,
      maxPages: limits.fuseWriteBytesMax / pageBytes,
    },
    setxattrExtended: (flags & initFlags.setxattrExt) !== 0,
    canIncrementEpoch: minor >= protocol.minorIncEpoch,
    canResend: (flags2 & initFlags2.hasResend) !== 0,
    atomicTruncate: (flags & initFlags.atomicTruncate) !== 0,
    missing: [
      ...names.filter((name) => (flags & initFlags[name]) === 0),
      ...wanted2.filter((name) => (flags2 & initFlags2[name]) === 0),
    ],
  };
}

function offered(flags: number, flag: number): number {
  return (flags & flag) === 0 ? 0 : flag;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
