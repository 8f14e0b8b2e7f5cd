/**
 * Changes of many entries, collected in the order of the entries and applied together: nothing reaches the store until
 * `parts` does. Each entry runs in a transaction of its own over those before it.
 *
 * What is too much for one batch of the store is cut into parts, behind an entry or where an operation would have
 * committed by itself. They are applied in one step; as a crash may come between them on the disk, each part says how
 * many entries it completes.
 */
import { limits } from "../../base/limits.ts";
import type { Change, Key, MetadataReader } from "../../metadata-store/types.ts";
import { Transaction } from "../namespace/index.ts";

/** What the log's own record takes in a part. */
const ownBytes = 16 * 1024;
const keysMax = limits.transactionKeysMax - 1;
const bytesMax = limits.transactionBytesMax - ownBytes;

export class Batch implements MetadataReader {
  readonly #parts: Change[][] = [];
  #current: Transaction;
  /** Puts into a part what is to be remembered with it; `entries`: so many are complete with it. */
  readonly #remember: (part: Transaction, entries: number) => void;
  #entries: number;

  /** @param entries so many were applied before, by a server that then died */
  constructor(base: MetadataReader, entries: number, remember: (part: Transaction, entries: number) => void) {
    this.#current = new Transaction(base);
    this.#entries = entries;
    this.#remember = remember;
  }

  get(key: Key): Buffer | undefined {
    return this.#current.get(key);
  }

  range(bounds: Parameters<MetadataReader["range"]>[0]): Iterable<readonly [Key, Buffer]> {
    return this.#current.range(bounds);
  }

  /** For the next entry. */
  begin(): Transaction {
    return new Transaction(this);
  }

  /** The entry is complete, behind all before it. */
  end(transaction: Transaction): void {
    this.#take(transaction);
    this.#entries++;
  }

  /** In the middle of an entry that is too large for one transaction: as `OperationContext.checkpoint`. */
  checkpoint(transaction: Transaction): void {
    this.#take(transaction);
    this.#cut();
    transaction.clear();
  }

  /** The last part is without its record yet: whoever applies the batch puts it there. */
  finish(remember: (part: Transaction) => void): readonly (readonly Change[])[] {
    remember(this.#current);
    return [...this.#parts, this.#current.changes()];
  }

  #take(transaction: Transaction): void {
    const isFull =
      this.#current.keys + transaction.keys > keysMax || this.#current.bytes + transaction.bytes > bytesMax;
    if (isFull && this.#current.keys > 0) this.#cut();
    for (const [key, value] of transaction.changes()) {
      if (value === null) this.#current.remove(key);
      else this.#current.put(key, value);
    }
  }

  #cut(): void {
    this.#remember(this.#current, this.#entries);
    this.#parts.push(this.#current.changes());
    this.#current = new Transaction(this.#current);
  }
}
