/**
 * What a check of the store finds, and how it is made good.
 *
 * A check reads one pinned state, which is right in itself whatever goes on meanwhile: what it finds was so at that
 * moment. A repair runs later, as one transaction over the living store, and looks at its proof again in that same step.
 */
import type { BlockId, Ino, SessionId } from "../../base/ids.ts";
import type { Name } from "../../base/name.ts";
import type { MetadataReader, PinnedState } from "../../metadata-store/types.ts";
import type { OperationContext } from "../namespace/index.ts";

/** One name of an inode. */
export interface Place {
  readonly parent: Ino;
  readonly name: Name;
}

/** Where to look for the paths that a finding is about. */
export type Subject =
  | { readonly kind: "inode"; readonly ino: Ino }
  | { readonly kind: "entry"; readonly place: Place }
  | { readonly kind: "content"; readonly content: Ino }
  | { readonly kind: "block"; readonly block: BlockId }
  | { readonly kind: "none" };

export interface Finding {
  /** A sentence for people, without the path. */
  readonly text: string;
  readonly about: Subject;
  /** Absent: nothing that could be done would be right for certain. */
  readonly repair?: Repair;
}

export interface Repair {
  /** What is done, in the past tense. */
  readonly text: string;
  /** The inodes that it changes: nobody believes anything of them while it runs. */
  readonly inos: readonly Ino[];
  /**
   * Changes the transaction, and returns true; or finds that the store is not as it was found any more, and returns
   * false. `names`: those of the finding's inode at the time of the check.
   */
  readonly run: (context: OperationContext, names: readonly Place[]) => boolean;
}

/** What the passes of a check share. */
export interface Check {
  readonly state: PinnedState;
  /** The store as it is now: for what may have been put right by itself since. */
  readonly living: MetadataReader;
  /** Lets requests through; rejects when the check is to end. To be awaited at least at every page of keys. */
  pause(): Promise<void>;
  readonly report: (finding: Finding) => void;
  /** Whether a session has ended and nobody is any more at work on what it left. */
  hasDeparted(session: SessionId): boolean;
  /** Numbers of things that one pass keeps in memory: the rest is left to a further pass. */
  readonly stretch: number;
  readonly counts: Counts;
}

export interface Counts {
  inodes: number;
  entries: number;
  extents: number;
  blocks: number;
}
