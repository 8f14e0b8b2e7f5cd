/**
 * What the client's upper layers (`cache/`, `vfs/`) call. Implemented here over rpc; the contract hides reconnection,
 * resending, replicas, checksums and placement.
 */
import type { BlockId, ClusterId, Ino, SessionId } from "../base/ids.ts";
import type { ClientMethods } from "../protocol/client.ts";
import type { HeldLease, LeaseGrant, LeaseNews } from "../protocol/leases.ts";
import type { NameServerMethods } from "../protocol/name-server.ts";
import type { ClusterMap, Lock } from "../protocol/types.ts";
import type { AheadEvents, AheadLog } from "./ahead-log.ts";
import type { InodeNumbers } from "./inode-numbers.ts";
import type { Address, Handlers, Payload, RequestOf, ReplyOf } from "../rpc/types.ts";

type Token = "op";
/** The methods that carry `op`. */
export type Changing = {
  [M in keyof NameServerMethods]: Token extends keyof RequestOf<NameServerMethods, M> ? M : never;
}[keyof NameServerMethods];

export interface NameServerOptions {
  readonly signal?: AbortSignal;
  /** Infinity: waits for ever (setLock). Default: waits across reconnections, see `hard`. */
  readonly deadlineMillis?: number;
}

/**
 * The name server as one session sees it. Calls survive broken connections and restarts of the server: they wait,
 * reconnect, resume the session and are sent again; changing calls carry a slot and sequence (added here), so that they
 * happen exactly once. When the session could not be resumed, changing calls and reading calls that had been sent reject
 * with EIO (reading calls that were not yet sent go to the new session), and `onSession` says `resumed: false`.
 */
export interface NameServer {
  /** For reading methods. Rejects with FsError. */
  ask<M extends Exclude<keyof NameServerMethods, Changing>>(
    method: M,
    request: RequestOf<NameServerMethods, M>,
    options?: NameServerOptions,
  ): Promise<ReplyOf<NameServerMethods, M>>;
  /** For changing methods: takes a slot (waits for one when all are in use), adds `op`. */
  change<M extends Changing>(
    method: M,
    request: Omit<RequestOf<NameServerMethods, M>, Token>,
    options?: NameServerOptions,
  ): Promise<ReplyOf<NameServerMethods, M>>;
  /** Changes that run ahead, and the numbers of inodes that they make. */
  readonly ahead: AheadLog;
  readonly inodeNumbers: InodeNumbers;
  /** Sent at once and without a reply; lost without a connection (the server asks again after a resumption). */
  tell(news: readonly LeaseNews[]): void;
  readonly session: SessionId;
  readonly cluster: ClusterId;
  /** The server's wall clock as estimated from its replies, nanoseconds. */
  nowNanos(): bigint;
  /** Free bytes of the cluster, by the last heartbeat (file content, one copy). */
  readonly bytesFree: number;
  readonly map: ClusterMap;
  /** Ends the session in order. Everything must have been flushed. */
  close(): Promise<void>;
}

/** What a client has to know of servers to find the right one again. */
export interface KnownServers {
  /** The highest that it has had a session with. */
  readonly epoch: number;
  /** Where the name server is. */
  readonly address: Address;
  readonly nodes: readonly Address[];
}

export interface NameServerEvents {
  /** There is a session on a connection, or the cluster has other storage nodes than when it was told last. */
  onServers?(servers: KnownServers): void;
  /** Handlers of the server's calls; run in the frame's turn of the event loop. */
  readonly handlers: Omit<Handlers<ClientMethods, NameServerMethods>, "mapChanged">;
  /**
   * At the first opening, and after each resumption or new session, before any waiting call is sent. For a new session
   * that includes what its promise waits for (which must not be a call of this name server); it is told before anything
   * can be sent under the new session. A rejection is logged.
   */
  onSession(state: { resumed: boolean }): void | Promise<void>;
  readonly ahead: AheadEvents;
  /** The session lives at the server at least until then (monotonic milliseconds). */
  onTrusted(until: number): void;
  /** The server was restarted: what this session had, to be reclaimed. */
  heldLeases(): readonly HeldLease[];
  /** Of what it asked for it has these again, and lost the others. Runs before `onSession`. */
  onLeasesReclaimed(asked: readonly HeldLease[], grants: readonly LeaseGrant[]): void;
  /** After a resumption these locks could not be taken again: somebody else has them. Runs before `onSession`. */
  onLocksLost?(locks: readonly { ino: Ino; lock: Lock }[]): void;
}

/** Reads content by extents, from any replica, verified, with failover. */
export interface BlockReader {
  /**
   * Bytes [offset, offset + length) of a block. Fresh. Tries every replica; ENOENT when all that answered say there is
   * no such block (the layout is old: fetch it again), EIO when none could give it.
   */
  read(block: BlockId, offset: number, length: number, signal?: AbortSignal): Promise<Buffer>;
  /** As `read`, but the memory may be given back to be used again. */
  lend(block: BlockId, offset: number, length: number, signal?: AbortSignal): Promise<Payload>;
}

export interface WrittenBlock {
  readonly block: BlockId;
  /** The epoch of the block's group under which it was written. */
  readonly epoch: number;
}

export interface BlockWriteOptions {
  readonly signal?: AbortSignal | undefined;
  /** Copies of the block; absent: the cluster's default. */
  readonly replicas?: number | undefined;
}

export interface BlockWriter {
  /**
   * Writes `pieces` as one new block (together at most 4 MiB) to all replicas of a healthy group, and in another group
   * when a node fails. Borrows until it settles. Resolves when it is on disk everywhere. Rejects: ENOSPC (after
   * waiting for reclaim), EIO (no healthy group for `limits.blockWriteMillis`).
   */
  write(pieces: readonly Uint8Array[], options?: BlockWriteOptions): Promise<WrittenBlock>;
  /** The block that was written will not be named: it is deleted some time. */
  discard(block: BlockId): void;
}

/** What is lent travels as rpc delivered it. */
export type { Payload };
