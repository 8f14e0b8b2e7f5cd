/**
 * `Materialised` in LMDB, folder `lmdb` of the store's root. Two databases: `values` (key to value and CRC) and `state`
 * (one key, `state`: position and table sums, written in every transaction and guarded by its version).
 *
 *   state, little endian: format 1:1 epoch:8 index:8 crc:4 table sums CRC of all before:4
 *
 * Invariants: every transaction is synced before it counts; it takes place only if the stored position is the one that
 * this process knows; table sums and values change in the same transaction. A failed check leaves a file `damaged`, so
 * that the next start rebuilds the whole from snapshot and journal.
 */
import { existsSync, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { open, type Database, type RootDatabase } from "lmdb";
import { checksum } from "../base/checksum.ts";
import { FsError } from "../base/errno.ts";
import { assertWholeFile } from "./lmdb-file.ts";
import type { Materialised } from "./materialised.ts";
import type { Entry } from "./ordered-map.ts";
import { origin, positionText, type Position } from "../journal/position.ts";
import { readU64, writeU64 } from "./record-codec.ts";
import { verifyState } from "./snapshot.ts";
import { TableSums } from "./table-sums.ts";
import type { Key, PinnedState } from "./types.ts";
import { checksumBytes, openedValue, sealedValue, sealOf, valueChecksum } from "./value-checksum.ts";

export interface LmdbOptions {
  /** The store's root; the database is in its folder `lmdb`. */
  readonly root: string;
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
  readonly #folder: string;
  readonly #onDamage: (error: FsError) => void;
  #position: Position = origin;
  #sums = new TableSums();
  readonly #fileBytes: number;
  #isDamaged = false;

  /** Throws, as `settle` does, if the database is damaged or unreadable: then `removeLmdb`, and build it anew. */
  constructor(options: LmdbOptions) {
    this.#folder = lmdbFolder(options.root);
    this.#onDamage = options.onDamage;
    const file = join(this.#folder, dataName);
    if (existsSync(join(this.#folder, damagedName)))
      throw new FsError("EIO", "the LMDB database failed a check earlier");
    assertWholeFile(file);
    this.#fileBytes = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
    // A damaged tree can end the process: unless `settle` gets through, the next start does not open this database.
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

  /** Before anything else: reads the position, and all values if that is soon done. Rejects if something is wrong. */
  async settle(): Promise<void> {
    const stored = this.#state.getBinary(stateKey);
    if (stored === undefined) await this.#state.put(stateKey, this.#encodeState(origin), version(origin));
    else this.#decodeState(stored);
    if (this.#fileBytes <= verifiedBytesMax) {
      const state = this.pin();
      try {
        await verifyState(state, () => Promise.resolve());
      } finally {
        state.release();
      }
    }
    rmSync(join(this.#folder, damagedName));
  }

  get position(): Position {
    return this.#position;
  }
  get sums(): TableSums {
    return this.#sums;
  }

  get(key: Key): Buffer | undefined {
    const stored = this.#values.getBinaryFast(key);
    return stored === undefined ? undefined : this.#opened(key, stored, lastSize(this.#values));
  }

  *range(bounds: { gte: Key; lt: Key; reverse?: boolean }): Generator<readonly [Key, Buffer], undefined> {
    if (bounds.gte >= bounds.lt) return;
    for (const { key, value } of this.#values.getRange(rangeOptions(bounds)))
      yield [key, this.#opened(key, value, value.length)];
  }

  async apply(changes: Iterable<Entry>, to: Position): Promise<void> {
    const iterator = changes[Symbol.iterator]();
    for (let isLast = false; !isLast;) {
      const chunk = nextChunk(iterator);
      isLast = chunk.length < chunkChangesMax;
      const target = isLast ? to : this.#position;
      const writes = await this.#prepared(chunk);
      const isExpected = await this.#state.ifVersion(stateKey, version(this.#position), () => {
        for (const [key, value] of writes)
          void (value === null ? this.#values.remove(key) : this.#values.put(key, value));
        void this.#state.put(stateKey, this.#encodeState(target), version(target));
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
        for (const { key, value } of this.#values.getRange(bounds)) {
          page.push([key, this.#opened(key, value, value.length)]);
          size += key.length + value.length;
          if (size >= bytes) break;
        }
        return page;
      },
      get: (key) => {
        const stored = this.#values.get(key, { transaction });
        return stored === undefined ? undefined : this.#opened(key, stored, stored.length);
      },
      release: () => {
        transaction.done();
      },
    };
  }

  close(): Promise<void> {
    return this.#root.close();
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

  #opened(key: Key, stored: Uint8Array, length: number): Buffer {
    try {
      return openedValue(key, stored, length);
    } catch (error) {
      this.condemn(error as FsError);
      throw error;
    }
  }

  condemn(error: FsError): void {
    if (this.#isDamaged) return;
    this.#isDamaged = true;
    writeFileSync(join(this.#folder, damagedName), error.message);
    this.#onDamage(error);
  }

  #encodeState(position: Position): Buffer {
    const sums = this.#sums.encode();
    const bytes = Buffer.alloc(stateHeaderBytes + sums.length + checksumBytes);
    bytes[0] = stateFormat;
    writeU64(bytes, position.epoch, 1);
    writeU64(bytes, position.index, 9);
    bytes.writeUInt32LE(position.crc, 17);
    sums.copy(bytes, stateHeaderBytes);
    const end = bytes.length - checksumBytes;
    bytes.writeUInt32LE(checksum(bytes.subarray(0, end)), end);
    return bytes;
  }

  #decodeState(bytes: Buffer): void {
    const end = bytes.length - checksumBytes;
    if (end <= stateHeaderBytes || sealOf(bytes, bytes.length) !== checksum(bytes.subarray(0, end))) {
      throw new FsError("EIO", "the position stored in LMDB fails its checksum");
    }
    if (bytes[0] !== stateFormat) throw new FsError("EIO", "LMDB has an unknown format");
    this.#position = { epoch: readU64(bytes, 1), index: readU64(bytes, 9), crc: bytes.readUInt32LE(17) };
    this.#sums = TableSums.decode(bytes.subarray(stateHeaderBytes, end));
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
/** A database of this size is read whole in less than half a second at every start; larger ones by snapshots and scrub. */
const verifiedBytesMax = 16 * 1024 * 1024;
const stateKey = "state";
const stateFormat = 1;
const stateHeaderBytes = 21;
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
