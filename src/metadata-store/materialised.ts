/**
 * What the journal builds up to: the state at some position, in LMDB or in memory. It is a cache of (snapshot, journal)
 * and never ahead of what is durable there.
 */
import type { FsError } from "../base/errno.ts";
import type { Entry } from "./ordered-map.ts";
import type { Position } from "../journal/position.ts";
import type { TableSums } from "./table-sums.ts";
import type { MetadataReader, PinnedState } from "./types.ts";

export interface Materialised extends MetadataReader {
  readonly position: Position;
  readonly sums: TableSums;
  /**
   * Applies the changes (absolute values, each key once, in key order) that lead from `position` to `to`; all of them
   * are durable in the journal. Several transactions: a crash between them leaves some of the values of `to` under the
   * old position, which replaying the journal from there makes right. Rejects when the stored position is not the
   * expected one, or on any error: then the process must end. One call at a time.
   */
  apply(changes: Iterable<Entry>, to: Position): Promise<void>;
  /** The state as of now, unmoved by later changes; `release` it. Not while `apply` runs. */
  pin(): PinnedState;
  /** Its content turned out to be wrong: what is on disk must be built anew at the next start. */
  condemn(error: FsError): void;
  close(): Promise<void>;
}
