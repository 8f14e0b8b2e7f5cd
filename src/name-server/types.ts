/** What the parts of the name server share. `name-server.ts` puts them together. */
import type { Clock } from "../base/clock.ts";
import type { Disk } from "../base/disk.ts";
import type { Nanos } from "../base/attributes.ts";
import type { ClusterId, SessionId } from "../base/ids.ts";
import type { Log } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { MetadataStore } from "../metadata-store/types.ts";
import { clientMethods, type ClientMethods } from "../protocol/client.ts";
import { journalMethods, type JournalMethods } from "../protocol/journal-methods.ts";
import { type NameServerMethods } from "../protocol/name-server.ts";
import { type StatusReply } from "../protocol/status.ts";
import { storageNodeMethods, type StorageNodeMethods } from "../protocol/storage-node.ts";
import type { Handlers, Peer } from "../rpc/types.ts";
import type { CopyOptions } from "./copies/types.ts";

/** What the other end of a connection to the name server may answer: a client's methods or a storage node's. */
export type PeerMethods = ClientMethods & StorageNodeMethods & JournalMethods;
export const peerMethods: PeerMethods = { ...clientMethods, ...storageNodeMethods, ...journalMethods };
export type RemotePeer = Peer<PeerMethods>;

export interface NameServerOptions {
  /** Copies of every block. */
  readonly replicas: number;
  /** Copies that a block must have at least, while nodes for more are missing; absent: all of them. */
  readonly minReplicas?: number | undefined;
  /** Shown by status. */
  readonly version: string;
  /** Free space below which the metadata store takes nothing new; default: 5 % of the disk, at least the limit's. */
  readonly reserveBytes?: number;
  /** Defaults: `limits`. */
  readonly sessionTtlMillis?: number;
  readonly nodeDownMillis?: number;
  /** A node that is silent for so long is out: others take its place. */
  readonly nodeOutMillis?: number;
  readonly reclaimGraceMillis?: number;
  /** How long comparing everything that the nodes hold takes at least. */
  readonly compareRoundMillis?: number;
  /** What inline content may take before the oldest is packed into blocks. */
  readonly inlineTableBytesMax?: number;
}

export interface NameServerParts {
  readonly store: MetadataStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly options: NameServerOptions;
  /** Tells how full the metadata store's own disk is; absent: it is never full. */
  readonly space?: Disk["space"];
  /** The server's folder, for how far the verification of the metadata is; absent: it begins again with each start. */
  readonly disk?: Disk;
  /** Absent: the journal is not copied to storage nodes, and nobody has to confirm that this server may serve. */
  readonly copies?: CopyOptions;
}

export interface NameServer {
  /** The method table of the rpc server (`ownTable: nameServerMethods`, `remoteTable: peerMethods`). */
  readonly handlers: Handlers<NameServerMethods, PeerMethods>;
  /** To be called for every peer before its first request (`onPeer`). */
  connected(peer: RemotePeer): void;
  /**
   * Reads and initialises the store. Without `copies` nothing may be answered before it has resolved; with them the
   * connections are open already (it waits for storage nodes), and requests wait by themselves.
   */
  start(): Promise<void>;
  /** Stops timers and background work, closes the peers. The store stays open: it belongs to the caller. */
  close(): Promise<void>;
  status(): StatusReply;
  /** Rejects (never resolves) when another server has taken over: the process must end. Undefined: nobody can. */
  readonly deposed: Promise<never> | undefined;
  /** Known once started. */
  readonly cluster: ClusterId;
}

/** One mounted client. It lives on when its connection breaks, until its time to live has passed in silence. */
export interface Session {
  readonly id: SessionId;
  readonly clientName: string;
  readonly opened: Nanos;
  /** The connection that speaks for it now. */
  peer: RemotePeer | undefined;
  /** The opening (or resumption) over this connection has been answered: calls do not overtake that answer. */
  callable: boolean;
  /** When it last spoke, in listening time. */
  heardAt: number;
  /** When its last opening, resumption or heartbeat was answered: what it may believe counts from there, or earlier. */
  answeredAt: number;
  /** It was there before this server started, and has not said yet what it holds. */
  awaited: boolean;
  /** It will end, and is not spoken to any more; it does not end before it can have noticed. */
  condemned: boolean;
  /** Ended sessions do nothing any more; the object stays in the hands of requests that are under way. */
  ended: boolean;
}
