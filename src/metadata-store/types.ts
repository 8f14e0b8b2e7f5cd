/**
 * The metadata store: ordered keys to values, changed by batches, each durable as one journal record, materialised
 * behind the journal in LMDB (or in memory, in simulation). This is the contract; `FORMAT.md` has the bytes.
 *
 * One writer, one order: `apply` makes a batch visible to `get` and `range` at once and gives it the next index;
 * `durable` says when. Who answers anybody (also a reader) waits for `durable(lastIndex)` first.
 */
import type { DiskFile } from "../base/disk.ts";
import type { Change, Key } from "../journal/change.ts";
import type { Position } from "../journal/position.ts";

export type { Change, Key };

export interface MetadataReader {
  /** The value (borrowed, not to be changed, valid until the next turn of the event loop), or undefined. */
  get(key: Key): Buffer | undefined;
  /** Pairs from `gte` on, below `lt`, in byte order; values borrowed as at `get`. Not to be held across an await. */
  range(bounds: { gte: Key; lt: Key; reverse?: boolean; limit?: number }): Iterable<readonly [Key, Buffer]>;
}

export interface MetadataStore extends MetadataReader {
  /** Index of the newest applied batch. */
  readonly lastIndex: number;
  /** Makes the batch visible and queues it for the journal; batches of one turn share a record. Synchronous. */
  apply(changes: readonly Change[]): void;
  /** Resolves when everything applied so far is durable (at once if it is already). Rejects only after `failed`. */
  durable(): Promise<void>;
  /** Whether everything applied so far is durable already: then no wait is needed. */
  readonly isDurable: boolean;
  /** Resolves when the overlay has room again; who is about to change something waits here first (mostly at once). */
  room(): Promise<void> | undefined;
  /** Rejects (never resolves) when journal or LMDB failed: the process must end, see DESIGN section 9. */
  readonly failed: Promise<never>;
  /** Whether it has failed: set before anything rejects because of that. */
  readonly hasFailed: boolean;
  /** The epoch that goes into records: of this name server's incarnation. */
  readonly epoch: number;
  readonly statistics: { readonly overlayBytes: number; readonly journalBytes: number; readonly records: number };
  /** Damage of journal and snapshot on this disk that was found since the start. */
  readonly damage: DamageFound;
  /**
   * Lets `use` read one state, checked value by value, that contains everything applied before the call and does not move
   * while the store goes on. What it is held for costs disk space: not longer than it takes to read.
   */
  pinned<T>(use: (state: PinnedState) => Promise<T>): Promise<T>;
  /**
   * Reads everything once: each key is found, in order, and has the right value, and nothing is missing. Rejects with EIO,
   * and fails the store; or as `pause` or `onTable` do.
   */
  verify(options?: VerifyOptions): Promise<void>;
  /** Flushes, applies everything to the materialised store, closes. */
  close(): Promise<void>;
}

/** Tables (first bytes of keys) are verified one by one, each in one state of its own: the store is not held up for long. */
export interface VerifyOptions {
  /** The first one; for who goes on with a verification that was cut off. */
  readonly from?: number;
  /** Told when one is done, with the next one. */
  readonly onTable?: (next: number) => Promise<void>;
  /** Called after every page of so many bytes; default: lets requests through. */
  readonly pause?: (bytes: number) => Promise<void>;
}

/** `replaced`: how often a new snapshot took the place of what was damaged; `problem`: why that does not succeed now. */
export interface DamageFound {
  readonly replaced: number;
  readonly problem: string | undefined;
}

/** One state of the store, unmoved by later changes. Whoever was given one releases it. */
export interface PinnedState {
  readonly position: Position;
  /** As kept beside the values: what reading them all must add up to. Encoded. */
  readonly sums: Buffer;
  /** Pairs above `after` in byte order, values checked, fresh: a page of about `bytes`; empty at the end. */
  page(after: Key, bytes: number): (readonly [Key, Buffer])[];
  /** The value, checked and fresh, or undefined. */
  get(key: Key): Buffer | undefined;
  release(): void;
}

/** A journal record on its way to the disk, with bytes of its own: whoever is told keeps them, and changes nothing. */
export interface JournalRecord {
  readonly first: number;
  /** The position behind it. */
  readonly end: Position;
  /** `crc` of the record before. */
  readonly predecessor: number;
  readonly bytes: Buffer;
}

/** Who has to have a record, besides the journal itself, before it counts as durable. */
export interface JournalCopies {
  /**
   * Called when the write of the record begins; the next one is written only when this has settled. Resolves when the
   * copies have it; undefined: nobody has to. A rejection fails the store.
   */
  append(record: JournalRecord): Promise<void> | undefined;
}

/** The journal, for who copies it. */
export interface JournalSource {
  /** Newest position that is on this disk. */
  readonly end: Position;
  copyTo(copies: JournalCopies): void;
  /**
   * Records from the one with batch `first` on, about `bytesMax`, at least one unless `first` is beyond the end. Fresh.
   * Undefined: they are gone, or damaged; the newest snapshot has what they did. EIO: and none could be taken.
   */
  readRecords(first: number, bytesMax: number): Promise<Buffer[] | undefined>;
  /**
   * The newest snapshot beyond that batch, verified, to be closed; a damaged one is replaced by a new one first. Undefined:
   * there is none beyond; beyond 0: none was taken, and the journal goes back to the origin. EIO: none could be taken.
   */
  openSnapshot(beyond: number): Promise<{ position: Position; file: DiskFile; bytes: number; crc: number } | undefined>;
  /** Appends a whole record that continues the journal (it came from a copy), and applies it. Nothing else is under way. */
  adopt(record: Buffer): Promise<void>;
  /** The epoch of all further records; durable when it resolves. Not lower than the present one. */
  raiseEpoch(epoch: number): Promise<void>;
}
