/** What the parts of the journal's copies share. */
import type { NodeId } from "../../base/ids.ts";
import type { JournalSource } from "../../metadata-store/types.ts";
import type { JournalMethods, JournalRegister } from "../../protocol/journal-methods.ts";
import type { Address, Peer } from "../../rpc/types.ts";

/** A storage node, as far as the copies are concerned. */
export type CopyPeer = Pick<Peer<JournalMethods>, "call" | "isOpen" | "closed">;

/** Opens a connection to a storage node, within a bounded time. Rejects with FsError. */
export type ConnectNode = (address: Address) => Promise<Pick<Peer<JournalMethods>, "call" | "close">>;

/** A node that may keep the register, and a copy. */
export interface CopyNode {
  readonly node: NodeId;
  readonly address: Address;
  /** Copies are spread over different ones. */
  readonly label: string;
  readonly isUp: boolean;
}

/** What a name server needs to have its journal copied. */
export interface CopyOptions {
  readonly source: JournalSource;
  /** The id of this server's folder: an epoch belongs to one server. */
  readonly server: string;
  /** Where others find this server; null: unknown (it listens everywhere). */
  readonly address: Address | null;
  readonly connect: ConnectNode;
  /** It was recovered: it serves only so long after it has claimed its epoch. */
  readonly waitMillis?: number;
  readonly loss?: AcceptedLoss;
  /** Told of each register that comes into effect. */
  readonly onRegister?: (register: JournalRegister) => void;
}

/**
 * An operator's word, for one start, that storage nodes that do not answer are lost for ever, and that this folder is to be
 * the cluster's even where their registers say otherwise.
 */
export interface AcceptedLoss {
  /** What operators do to give it, as a part of a sentence. */
  readonly how: string;
  isGiven(): Promise<boolean>;
  /** It has been made use of. */
  done(): Promise<void>;
}
