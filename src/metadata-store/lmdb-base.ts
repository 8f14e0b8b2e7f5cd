/**
 * `Materialised` in LMDB, folder `lmdb` of the store's root. Two databases: `values` (key to value and CRC) and `state`
 * (one key, `state`, see `lmdb-state.ts`: written in every transaction and guarded by its version).
 *
 * Invariants: every transaction is synced before it counts; it takes place only if the stored position is the one that
 * this process knows; table sums and values change in the same transaction. A failed check, and any error of LMDB's when
 * it reads, leaves a file `damaged`, so that the next start rebuilds the whole from snapshot and journal.
 *
 * LMDB believes its pages. After an orderly end the file is compared with its checksum, `sum`; after any other one
 * everything in it is verified before anything of it is believed.
 */
import { existsSync, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { open, type Database, type RootDatabase } from "lmdb";
import type { Disk } from "../base/disk.ts";
import { FsError } from "../base/errno.ts";
import { leaveFileSum, takeFileSum } from "../base/file-sum.ts";
import type { Log } from "../base/log.ts";
import { assertWholeFile } from "./lmdb-file.ts";
import type { Materialised } from "./materialised.ts";
import type { Entry } from "./ordered-map.ts";
import { origin, positionText, type Position } from "../journal/position.ts";
import { decodeState, encodeState } from "./lmdb-state.ts";
import { TableSums } from "./table-sums.ts";
import type { Key, PinnedState } from "./types.ts";
import { openedValue, sealedValue, sealOf, valueChecksum } from "./value-checksum.ts";
import { verifyState } from "./verify.ts";

export interface LmdbOptions {
  /** The database is in its folder `lmdb`. */
  readonly disk: Disk;
  readonly log: Log;
  /** Address space, not memory: what the database may grow to. */
  readonly mapBytes: number;
  /** Called once when a value or a table fails its check: the process should end, its successor rebuilds. */
  readonly onDamage: (error: FsError) => void;
}

type Values = Database<Buffer, Key>;

export class LmdbBase implements Materialised {
  readonly #root: RootDatabase<Buffer, Key>;
  readonly #values: Values;
  readonly #state: Values;
  readonly #options: LmdbOptions;
  readonly #folder: string;
  #position: Position = origin;
  #sums = new TableSums();
  readonly #fileBytes: number;
  readonly #isAsLeft: boolean;
  /** What is in the file is what this process wants there. */
  #isSound = false;
  #isClosed = false;
  #isDamaged = false;

  /** Rejects if the database is damaged or unreadable: then `removeLmdb`, and build it anew. */
  static async open(options: LmdbOptions): Promise<LmdbBase> {
    const base = new LmdbBase(options, await takeFileSum(options.disk, sum));
    try {
      await base.#settle();
      return base;
    } catch (error) {
      await base.close();
      throw error;
    }
  }

  private constructor(options: LmdbOptions, isAsLeft: boolean) {
    this.#options = options;
    this.#isAsLeft = isAsLeft;
    this.#folder = lmdbFolder(options.disk.root);
    const file = join(this.#folder, dataName);
    if (existsSync(join(this.#folder, damagedName)))
      throw new FsError("EIO", "the LMDB database failed a check earlier");
    assertWholeFile(file);
    this.#fileBytes = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
    // A damaged tree can end the process: unless `#settle` gets through, the next start does not open this database.
    mkdirSync(this.#folder, { recursive: true });
    writeFileSync(join(this.#folder, damagedName), "the process ended while it opened the database");
    const shape = { keyEncoder, encoding: "binary" } as const;
    this.#root = open<Buffer, Key>({
      path: this.#folder,
      mapSize: options.mapBytes,
      maxDbs: 4,
      overlappingSync: false,
      ...shape,
    });
    this.#values = this.#root.openDB({ name: "values", ...shape });
    this.#state = this.#root.openDB({ name: "state", useVersions: true, ...shape });
  }

  async #settle(): Promise<void> {
    const stored = this.#state.getBinary(stateKey);
    if (stored === undefined) await this.#state.put(stateKey, encodeState(origin, this.#sums), version(origin));
    else ({ position: this.#position, sums: this.#sums } = decodeState(stored));
    if (!this.#isAsLeft && this.#fileBytes > 0) await this.#verify();
    rmSync(join(this.#folder, damagedName));
    this.#isSound = true;
  }

  async #verify(): Promise<void> {
    const { log } = this.#options;
    log.info({ bytes: this.#fileBytes }, "the last end was not an orderly one: all metadata are verified");
    const state = this.pin();
    try {
      await verifyState(state, () => new Promise(setImmediate));
    } finally {
      state.release();
    }
  }

  get position(): Position {
    return this.#position;
  }
  get sums(): TableSums {
    return this.#sums;
  }

  get(key: Key): Buffer | undefined {
    try {
      const stored = this.#values.getBinaryFast(key);
      return stored === undefined ? undefined : openedValue(key, stored, lastSize(this.#values));
    } catch (error) {
      throw this.#failed(error);
    }
  }

  *range(bounds: { gte: Key; lt: Key; reverse?: boolean }): Generator<readonly [Key, Buffer], undefined> {
    if (bounds.gte >= bounds.lt) return;
    try {
      for (const { key, value } of this.#values.getRange(rangeOptions(bounds)))
        yield [key, openedValue(key, value, value.length)];
    } catch (error) {
      throw this.#failed(error);
    }
  }

  async apply(changes: Iterable<Entry>, to: Position): Promise<void> {
    this.#isSound = false;
    const iterator = changes[Symbol.iterator]();
    for (let isLast = false; !isLast;) {
      const chunk = nextChunk(iterator);
      isLast = chunk.length < chunkChangesMax;
      const target = isLast ? to : this.#position;
      const writes = await this.#prepared(chunk);
      const isExpected = await this.#state.ifVersion(stateKey, version(this.#position), () => {
        for (const [key, value] of writes)
          void (value === null ? this.#values.remove(key) : this.#values.put(key, value));
        void this.#state.put(stateKey, encodeState(target, this.#sums), version(target));
      });
      if (!isExpected) {
        throw new FsError(
          "EIO",
          `LMDB is not at batch ${positionText(this.#position)}: another process has changed it`,
        );
      }
      this.#position = target;
      this.#values.resetReadTxn();
    }
    this.#isSound = true;
  }

  pin(): PinnedState {
    const transaction = this.#values.useReadTransaction();
    return {
      position: this.#position,
      sums: this.#sums.encode(),
      page: (after, bytes) => {
        const page: (readonly [Key, Buffer])[] = [];
        let size = 0;
        const bounds = { ...rangeOptions({ gte: after, lt: greatestKey }), exclusiveStart: after !== "", transaction };
        try {
          for (const { key, value } of this.#values.getRange(bounds)) {
            page.push([key, openedValue(key, value, value.length)]);
            size += key.length + value.length;
            if (size >= bytes) break;
          }
        } catch (error) {
          throw this.#failed(error);
        }
        return page;
      },
      get: (key) => {
        try {
          const stored = this.#values.get(key, { transaction });
          return stored === undefined ? undefined : openedValue(key, stored, stored.length);
        } catch (error) {
          throw this.#failed(error);
        }
      },
      release: () => {
        transaction.done();
      },
    };
  }

  /** What is left is vouched for, if it is sound. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const isSound = this.#isSound && !this.#isDamaged;
    const bytes = isSound ? usedBytes(this.#root) : 0;
    await this.#root.close();
    if (isSound) await leaveFileSum(this.#options.disk, sum, bytes);
  }

  /** What to write for the changes, with the sums moved on. In slices: reading what is replaced may touch the disk. */
  async #prepared(changes: readonly Entry[]): Promise<Entry[]> {
    const writes: Entry[] = [];
    for (const [i, [key, value]] of changes.entries()) {
      if (i % sliceChanges === sliceChanges - 1) await new Promise(setImmediate);
      const previous = this.#values.getBinaryFast(key);
      if (previous !== undefined) this.#sums.subtract(key, sealOf(previous, lastSize(this.#values)));
      if (value === null) {
        if (previous !== undefined) writes.push([key, null]);
        continue;
      }
      const crc = valueChecksum(key, value);
      this.#sums.add(key, crc);
      writes.push([key, sealedValue(value, crc)]);
    }
    return writes;
  }

  /** The error of a reading, which says that the database is not what it should be. */
  #failed(error: unknown): FsError {
    const isOwn = error instanceof FsError;
    const failure = isOwn ? error : new FsError("EIO", "the LMDB database cannot be read", { cause: error });
    if (!this.#isClosed) this.condemn(failure);
    return failure;
  }

  condemn(error: FsError): void {
    if (this.#isDamaged) return;
    this.#isDamaged = true;
    writeFileSync(join(this.#folder, damagedName), error.message);
    this.#options.onDamage(error);
  }
}

/** Removes the database, which nobody has open. */
export async function removeLmdb(root: string): Promise<void> {
  await rm(lmdbFolder(root), { recursive: true, force: true });
}

function lmdbFolder(root: string): string {
  return join(root, "lmdb");
}

const dataName = "data.mdb";
const damagedName = "damaged";
const sum = { path: `lmdb/${dataName}`, sumPath: "lmdb/sum", folder: "lmdb" };
const stateKey = "state";
/** One transaction's worth: 0.5 ms of this thread in one piece, 2 ms of LMDB's. */
const chunkChangesMax = 1_000;
/** Prepared in one turn of the event loop. */
const sliceChanges = 100;
const greatestKey = "\u00ff".repeat(512);

const keyEncoder = {
  writeKey: (key: Key, target: Buffer, start: number): number => start + target.write(key, start, "latin1"),
  readKey: (target: Buffer, start: number, end: number): Key => target.toString("latin1", start, end),
};

/** 53 bits that two positions are unlikely to share: LMDB compares them inside the transaction. */
function version(position: Position): number {
  return (position.index % 2 ** 20) * 2 ** 32 + position.crc + 1;
}

function rangeOptions({ gte, lt, reverse }: { gte: Key; lt: Key; reverse?: boolean }): object {
  if (reverse !== true) return { start: gte, end: lt };
  return { start: lt, end: gte, reverse: true, exclusiveStart: true, inclusiveEnd: true };
}

function nextChunk(iterator: Iterator<Entry>): Entry[] {
  const chunk: Entry[] = [];
  while (chunk.length < chunkChangesMax) {
    const step = iterator.next();
    if (step.done === true) break;
    chunk.push(step.value);
  }
  return chunk;
}

/** Bytes of the value that `getBinaryFast` just returned (not in the package's types). */
function lastSize(values: Values): number {
  return (values as Values & { readonly lastSize: number }).lastSize;
}

/** Where LMDB's last page ends (not in the package's types). */
function usedBytes(root: RootDatabase<Buffer, Key>): number {
  const { lastPageNumber, pageSize } = root.getStats() as { lastPageNumber: number; pageSize: number };
  return (lastPageNumber + 1) * pageSize;
}
