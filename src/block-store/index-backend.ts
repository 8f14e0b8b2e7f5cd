/**
 * What the block index needs of a store of ordered keys: LMDB, or memory in simulation. One suite of tests runs on both.
 * Keys and values are small buffers (below 64 bytes).
 */
export type IndexChange = readonly [key: Buffer, value: Buffer | null];

export interface IndexBackend {
  /** The value, borrowed until the next call of anything here. */
  get(key: Buffer): Buffer | undefined;
  /** Pairs from `gte` on, below `lt`, in byte order; fresh buffers. Not to be held across an await. */
  range(gte: Buffer, lt: Buffer): Iterable<readonly [Buffer, Buffer]>;
  /** All changes or none (null removes); durable, and visible to reads, when it resolves. Takes the buffers. */
  commit(changes: readonly IndexChange[]): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens the backend, which may be empty. Rejects when what is there cannot be opened; `discard` makes way for an empty
 * one then (the segments are the truth).
 */
export interface IndexBackendFactory {
  /**
   * `check` reads everything and throws if it is not whole: the process may die of what it reads; then the next `open`
   * rejects.
   */
  open(check: (opened: IndexBackend) => void): Promise<IndexBackend>;
  discard(): Promise<void>;
  /** A damaged value was met: the next `open` rejects, so that the index is built again. */
  distrust(): Promise<void>;
}
