/**
 * The store at work: changes go into the journal and, at once, into an overlay that readers see; the overlay moves into
 * the materialised base when its changes are durable.
 *
 * The overlay has two layers: `#active` takes changes; `#moving`, closed, waits until it is durable and is then applied to
 * the base. Invariants: a reader sees active over moving over base; the base never has what is not durable; a layer goes
 * only after the base answers for it.
 */
import { assert } from "../base/assert.ts";
import { sleep, type Clock, type Timer } from "../base/clock.ts";
import type { Disk } from "../base/disk.ts";
import { FsError } from "../base/errno.ts";
import type { Log } from "../base/log.ts";
import { deferred, type Deferred } from "../base/deferred.ts";
import { decodeChanges, splitRecords } from "../journal/journal-record.ts";
import { writeEpoch } from "./epoch-file.ts";
import type { Journal } from "./journal.ts";
import type { Materialised } from "./materialised.ts";
import { mergeLayers } from "./merge.ts";
import { OrderedMap } from "./ordered-map.ts";
import { SourceFiles } from "./source-files.ts";
import { takeSnapshot } from "./snapshot.ts";
import type { Change, JournalCopies, JournalSource, Key, MetadataStore, PinnedState, VerifyOptions } from "./types.ts";
import { verifyTable, WrongState } from "./verify.ts";

export interface StoreParts {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly log: Log;
  readonly journal: Journal;
  readonly base: Materialised;
  readonly epoch: number;
  readonly overlayBytesMax: number;
  readonly applyAfterMillis: number;
  readonly snapshotJournalBytes: number;
}

const keyBytesMax = 511;
const renewalWaitMillis = 1_000;
const nothing = (): Promise<void> => Promise.resolve();
const turn = (): Promise<void> => new Promise(setImmediate);

export class Store implements MetadataStore, JournalSource {
  #epoch: number;
  readonly failed: Promise<never>;
  readonly #parts: StoreParts;
  readonly #journal: Journal;
  readonly #base: Materialised;
  readonly #files: SourceFiles;
  #active = new OrderedMap();
  #moving: OrderedMap | undefined;
  #move: Promise<void> | undefined;
  /** The base is between two states. */
  #applying: Promise<void> | undefined;
  #moveTimer: Timer | undefined;
  #room: Deferred<void> | undefined;
  #snapshot: Promise<void> | undefined;
  #bytesAtSnapshot = 0;
  readonly #stopping = new AbortController();
  #failure: FsError | undefined;
  readonly #failed = deferred<never>();

  constructor(parts: StoreParts) {
    this.#parts = parts;
    this.#journal = parts.journal;
    this.#base = parts.base;
    this.#epoch = parts.epoch;
    this.failed = this.#failed.promise;
    this.#files = new SourceFiles({
      ...parts,
      read: (first, bytesMax) => this.#journal.read(first, bytesMax),
      renew: () => this.#renew(),
    });
    this.#journal.failed.catch((error: unknown) => {
      this.fail(error);
    });
  }

  get epoch(): number {
    return this.#epoch;
  }
  get lastIndex(): number {
    return this.#journal.lastIndex;
  }
  get end(): JournalSource["end"] {
    return this.#journal.written;
  }
  get isDurable(): boolean {
    return this.#journal.isDurable;
  }
  get hasFailed(): boolean {
    return this.#failure !== undefined || this.#journal.hasFailed;
  }
  get statistics(): MetadataStore["statistics"] {
    return { overlayBytes: this.#overlayBytes, journalBytes: this.#journal.bytes, records: this.#journal.records };
  }
  get damage(): MetadataStore["damage"] {
    return this.#files.damage;
  }

  get(key: Key): Buffer | undefined {
    let value = this.#active.get(key);
    if (value === undefined) value = this.#moving?.get(key);
    return value === undefined ? this.#base.get(key) : (value ?? undefined);
  }

  range(bounds: { gte: Key; lt: Key; reverse?: boolean; limit?: number }): Iterable<readonly [Key, Buffer]> {
    const layers = [this.#active.range(bounds), ...(this.#moving === undefined ? [] : [this.#moving.range(bounds)])];
    const options = { reverse: bounds.reverse ?? false, limit: bounds.limit ?? Infinity };
    return mergeLayers([...layers, this.#base.range(bounds)], options);
  }

  apply(changes: readonly Change[]): void {
    if (this.#failure !== undefined) throw this.#failure;
    for (const [key] of changes) assert(key.length > 0 && key.length <= keyBytesMax, "a key has 1 to 511 bytes");
    this.#journal.append(changes);
    for (const [key, value] of changes) this.#active.set(key, value);
    if (this.#move !== undefined) return;
    if (this.#active.bytes >= this.#parts.overlayBytesMax / 4) this.#startMove();
    else
      this.#moveTimer ??= this.#parts.clock.after(
        this.#parts.applyAfterMillis,
        () => {
          this.#startMove();
        },
        { unref: true },
      );
  }

  copyTo(copies: JournalCopies): void {
    this.#journal.copyTo(copies);
  }

  readRecords(first: number, bytesMax: number): Promise<Buffer[] | undefined> {
    return this.#files.readRecords(first, bytesMax);
  }

  openSnapshot(beyond: number): ReturnType<JournalSource["openSnapshot"]> {
    return this.#files.openSnapshot(beyond);
  }

  async adopt(record: Buffer): Promise<void> {
    for (let room = this.room(); room !== undefined; room = this.room()) await room;
    const [whole] = splitRecords(record) ?? [];
    assert(whole !== undefined && whole.bytes.length === record.length, "one whole record is adopted");
    await this.#journal.adopt(whole.header, record);
    for (const [key, value] of decodeChanges(whole.header, record)) this.#active.set(key, value);
    if (this.#active.bytes >= this.#parts.overlayBytesMax / 4) this.#startMove();
  }

  async raiseEpoch(epoch: number): Promise<void> {
    if (epoch === this.#epoch) return;
    await writeEpoch(this.#parts.disk, { epoch, index: this.#journal.written.index });
    this.#journal.raiseEpoch(epoch);
    this.#epoch = epoch;
  }

  durable(): Promise<void> {
    return this.#journal.durable() as Promise<void>;
  }

  room(): Promise<void> | undefined {
    if (this.#overlayBytes < this.#parts.overlayBytesMax) return undefined;
    this.#startMove();
    return (this.#room ??= deferred()).promise;
  }

  async verify({ from = 0, onTable = nothing, pause = turn }: VerifyOptions = {}): Promise<void> {
    for (let next: number | undefined = from; next !== undefined;) {
      const table: number = next;
      next = await this.#withPinned((state) => verifyTable(state, table, pause));
      if (next !== undefined) await onTable(next);
    }
  }

  /** Lets `use` read one state that contains everything applied before the call, while the store goes on. */
  async pinned<T>(use: (state: PinnedState) => Promise<T>): Promise<T> {
    const wanted = this.lastIndex;
    await this.#journal.durable();
    while (this.#base.position.index < wanted && this.#active.size + (this.#moving?.size ?? 0) > 0) {
      if (this.#failure !== undefined) throw this.#failure;
      this.#startMove();
      await this.#move;
    }
    return this.#withPinned(use);
  }

  /** Takes a snapshot of the materialised state and trims the journal below it; joins one that is under way. */
  snapshot(): Promise<void> {
    this.#snapshot ??= this.#takeSnapshot().finally(() => (this.#snapshot = undefined));
    return this.#snapshot;
  }

  async close(): Promise<void> {
    this.#moveTimer?.cancel();
    this.#stopping.abort(new FsError("ECANCELED", "the metadata store is closing"));
    try {
      await this.#snapshot?.catch(() => undefined);
      await this.#journal.durable();
      while (this.#failure === undefined && (this.#move !== undefined || this.#active.size > 0)) {
        this.#startMove();
        await this.#move;
      }
      if (this.#failure !== undefined) throw this.#failure;
    } finally {
      await this.#move;
      await this.#journal.close().finally(() => this.#base.close());
    }
  }

  fail(cause: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = cause instanceof FsError ? cause : new FsError("EIO", "the metadata store failed", { cause });
    this.#parts.log.error({ error: this.#failure }, "the metadata store failed: this process must end");
    this.#failed.reject(this.#failure);
    this.#room?.reject(this.#failure);
  }

  get #overlayBytes(): number {
    return this.#active.bytes + (this.#moving?.bytes ?? 0);
  }

  #startMove(): void {
    this.#moveTimer?.cancel();
    this.#moveTimer = undefined;
    if (this.#active.size === 0 || this.#failure !== undefined) return;
    this.#move ??= this.#moveOnce()
      .catch((error: unknown) => {
        this.fail(error);
      })
      .finally(() => {
        this.#move = undefined;
        if (this.#active.bytes >= this.#parts.overlayBytesMax / 4) this.#startMove();
      });
  }

  async #moveOnce(): Promise<void> {
    this.#moving = this.#active;
    this.#active = new OrderedMap();
    const position = await this.#journal.sealed();
    this.#applying = this.#base.apply(this.#moving.entries(), position);
    await this.#applying.finally(() => (this.#applying = undefined));
    this.#moving = undefined;
    if (this.#overlayBytes < this.#parts.overlayBytesMax) {
      this.#room?.resolve();
      this.#room = undefined;
    }
    if (this.#journal.bytes - this.#bytesAtSnapshot < this.#parts.snapshotJournalBytes) return;
    this.snapshot().catch((error: unknown) => {
      // Tried again when the journal has grown by a sixteenth more.
      this.#bytesAtSnapshot = this.#journal.bytes - (this.#parts.snapshotJournalBytes * 15) / 16;
      if (!this.#stopping.signal.aborted) this.#parts.log.error({ error }, "no snapshot was taken");
    });
  }

  async #takeSnapshot(): Promise<void> {
    const { disk, log } = this.#parts;
    const index = await this.#withPinned(async (state) => {
      await takeSnapshot(disk, state, this.#stopping.signal);
      return state.position.index;
    });
    await this.#journal.trim(index);
    this.#bytesAtSnapshot = this.#journal.bytes;
    log.info({ index }, "metadata snapshot taken");
  }

  /** A snapshot that has everything of before, and a journal that begins behind it. */
  async #renew(): Promise<void> {
    this.#journal.endFile();
    // The next record, which begins the next file.
    this.apply([]);
    // Not longer: what is not durable may be waiting for the very copy that this is done for.
    await Promise.race([this.pinned(nothing), sleep(this.#parts.clock, renewalWaitMillis, this.#stopping.signal)]);
    await this.#snapshot?.catch(() => undefined);
    await this.snapshot();
  }

  /** Does not wait for what is not durable yet: the base is in one state until the next move has begun to change it. */
  async #withPinned<T>(use: (state: PinnedState) => Promise<T>): Promise<T> {
    while (this.#applying !== undefined) await this.#applying.catch(() => undefined);
    const state = this.#base.pin();
    try {
      return await use(state);
    } catch (error) {
      if (error instanceof WrongState) {
        this.#base.condemn(error);
        this.fail(error);
      }
      throw error;
    } finally {
      state.release();
    }
  }
}
