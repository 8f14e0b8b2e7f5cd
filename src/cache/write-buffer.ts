/**
 * The unwritten data of one file: dirty ranges, the flights that carry them away, and what has to be reported.
 *
 * Invariants: what was written is dirty until the name server has committed it; newer data wins over older in flight;
 * an error reaches everyone who waited for the data that it hit. Data that was lost is reported once by the next flush;
 * data that is kept after an error is sent again by it, and is no error if that succeeds.
 */
import { assert } from "../base/assert.ts";
import type { Nanos } from "../base/attributes.ts";
import type { Ino } from "../base/ids.ts";
import type { Extent } from "../protocol/types.ts";
import { CommitQueue, type WriteReply } from "./commit-queue.ts";
import type { ContentContext } from "./content-context.ts";
import { DirtyRanges } from "./dirty-ranges.ts";
import { createFlight, packPieces, type DirtyPiece, type Flight, type FlightTerms } from "./flight.ts";
import { isHopeless } from "./flush-errors.ts";
import type { WriteOptions } from "./types.ts";

export interface WriteBufferEvents {
  /** The file's size with everything written. */
  fileBytes(): number;
  /** Committed at the server by what was sent at `since`; `reply` has its attributes. Inline content of `extents` is borrowed. */
  committed(extents: readonly Extent[], reply: WriteReply, since: number): void;
  /** The present moment. */
  moment(): number;
  runsAhead(): boolean;
  insists(): boolean;
  replicas(): number | undefined;
  /** There is open data now, and there was none. */
  becameDirty(): void;
  /** A flight failed whose data is kept: it is to be sent again. */
  failed(error: Error): void;
  lost(error: Error): void;
}

export class WriteBuffer {
  readonly dirty: DirtyRanges;
  readonly queue: CommitQueue;
  /** Of the newest write that is not committed. */
  time: Nanos | undefined;
  /** Failed flights in a row. */
  failures = 0;
  readonly #context: ContentContext;
  readonly #events: WriteBufferEvents;
  #clearPrivileges = false;
  #writes = 0;
  #error: Error | undefined;
  /** How flights are formed that leave during a write. */
  #fullTerms: Partial<FlightTerms> = {};
  readonly #sealFull: (stretch: number) => void;

  constructor(context: ContentContext, ino: Ino, events: WriteBufferEvents) {
    this.#context = context;
    this.#events = events;
    this.dirty = new DirtyRanges(context.memory, context.limits.blockBytesMax);
    this.queue = new CommitQueue(context, ino, {
      moment: () => events.moment(),
      runsAhead: () => events.runsAhead(),
      insists: () => events.insists(),
      replicas: () => events.replicas(),
      committed: (flights, extents, reply, since) => {
        this.#committed(flights, extents, reply, since);
      },
      failed: (flight, error) => {
        this.#failed(flight, error);
      },
    });
    this.#sealFull = (stretch) => {
      this.#send(this.dirty.open({ stretch }), this.#fullTerms);
    };
  }

  get isDirty(): boolean {
    return !this.dirty.isEmpty || !this.queue.isEmpty;
  }

  /** Whether a flush would do nothing. */
  get isQuiet(): boolean {
    return !this.isDirty && this.#error === undefined;
  }

  /** Takes a copy. The memory fits (see ChunkMemory). Stretches that are full now leave at once. */
  put(offset: number, content: Buffer, terms: WriteOptions): void {
    this.#note(terms);
    const wasClean = this.dirty.openBytes === 0;
    this.dirty.put(offset, content, this.#sealFull);
    if (wasClean && this.dirty.openBytes > 0) this.#events.becameDirty();
  }

  /** Takes a copy, as `put`, and sends it: resolves when it is committed, or rejects and it was never written. */
  async writeThrough(offset: number, content: Buffer, terms: WriteOptions): Promise<void> {
    this.seal();
    const before = new Set(this.queue.flights());
    this.#fullTerms = { writeThrough: true, urgent: true };
    try {
      this.put(offset, content, terms);
      this.seal(this.#fullTerms);
    } finally {
      this.#fullTerms = {};
    }
    await settled(this.queue.flights().filter((flight) => !before.has(flight)));
  }

  /**
   * Takes a copy of at most a block's bytes and sends it to the end of the file, wherever the server finds that.
   * Resolves with where it was.
   */
  async append(content: Buffer, terms: WriteOptions): Promise<number> {
    this.#note(terms);
    let where = 0;
    const file = { bytes: this.#events.fileBytes() + content.length, isFull: this.#isFull };
    const [packed] = packPieces(this.dirty.copy(content), file, this.#context.limits);
    assert(packed !== undefined, "appended nothing");
    const appended = (offset: number): void => {
      where = offset;
    };
    const flight = createFlight(
      packed.kind,
      packed.pieces,
      this.#terms({ writeThrough: true, urgent: true, appended }),
    );
    this.#clearPrivileges = false;
    this.queue.add(flight);
    await settled([flight]);
    return where;
  }

  /** Sends everything that is open (and starts below an offset). `writeThrough`: it fails for good with its flight. */
  seal({ below, ...terms }: { below?: number; writeThrough?: boolean; urgent?: boolean } = {}): void {
    if (this.dirty.openBytes === 0) return;
    const open = this.dirty.open(below === undefined ? {} : { below });
    if (open.length > 0) this.#send(open, terms);
  }

  /** Resolves when everything that was sent before is committed, rejects with what failed of it. */
  async arrived(): Promise<void> {
    const flights = this.queue.flights();
    for (const flight of flights) flight.urgent = true;
    // Of what runs ahead some may be waiting for company.
    if (flights.length > 0) void this.#context.nameServer.ahead.send();
    await settled(flights);
  }

  /** Whether nothing but appends is on its way, or waits to be. */
  get isWritten(): boolean {
    return this.dirty.openBytes === 0 && this.queue.flights().every(({ appended }) => appended !== undefined);
  }

  /** Sends what is open. Resolves when everything before is committed but appends, rejects with what failed of it. */
  async written(): Promise<void> {
    if (this.isWritten) return;
    this.seal({ urgent: true });
    await settled(this.queue.flights().filter(({ appended }) => appended === undefined));
  }

  /** Everything written before is committed; rejects also with an error that nobody has been told of. */
  async flush(): Promise<void> {
    this.seal({ urgent: true });
    try {
      await this.arrived();
    } catch (error) {
      this.#error = undefined;
      throw error;
    }
    this.report();
  }

  /** Throws the error that nobody has been told of. */
  report(): void {
    const error = this.#error;
    this.#error = undefined;
    if (error !== undefined) throw error;
  }

  /** Gives up everything that is not committed; with an error the owner is told. */
  drop(error: Error | undefined, reason: Error): void {
    const wasDirty = this.isDirty;
    this.dirty.clear();
    this.queue.cancel(reason);
    this.time = undefined;
    this.#clearPrivileges = false;
    this.failures = 0;
    if (error === undefined) this.#error = undefined;
    else if (wasDirty) this.#lose(error);
  }

  /** Gives up what is open at or beyond an offset: the file was cut there. The cut itself took privileges and set times. */
  cut(from: number): void {
    this.dirty.cutOpen(from);
    if (this.isDirty) return;
    this.time = undefined;
    this.#clearPrivileges = false;
  }

  forgetTime(): void {
    this.time = undefined;
    for (const flight of this.queue.flights()) flight.time = undefined;
  }

  get #isFull(): boolean {
    return this.#context.nameServer.bytesFree === 0;
  }

  #note({ time, clearPrivileges }: WriteOptions): void {
    this.#writes++;
    if (this.time === undefined || time > this.time) this.time = time;
    if (clearPrivileges) this.#clearPrivileges = true;
  }

  #send(pieces: readonly DirtyPiece[], terms: Partial<FlightTerms>): void {
    const flights: Flight[] = [];
    const file = { bytes: this.#events.fileBytes(), isFull: this.#isFull };
    for (const packed of packPieces(pieces, file, this.#context.limits)) {
      const form = (sealed: DirtyPiece[]): Flight => createFlight(packed.kind, sealed, this.#terms(terms));
      flights.push(this.dirty.seal(packed.pieces, form));
    }
    this.#clearPrivileges = false;
    for (const flight of flights) this.queue.add(flight);
  }

  #terms(given: Partial<FlightTerms>): FlightTerms {
    return {
      appended: undefined,
      writeThrough: false,
      urgent: false,
      time: this.time,
      clearPrivileges: this.#clearPrivileges,
      writes: this.#writes,
      ...given,
    };
  }

  #committed(
    flights: readonly Flight[],
    extents: readonly Extent[],
    reply: WriteReply | undefined,
    since: number,
  ): void {
    for (const flight of flights) {
      if (flight.appended === undefined) this.dirty.unseal(flight, "gone");
      else flight.appended(reply?.appendedAt ?? 0);
      if (flight.writes === this.#writes) this.time = undefined;
    }
    this.failures = 0;
    if (reply === undefined) return;
    const isAppend = flights[0]?.appended !== undefined;
    const placed = isAppend
      ? extents.map((extent) => ({ ...extent, offset: extent.offset + reply.appendedAt }))
      : extents;
    this.#events.committed(placed, reply, since);
  }

  #failed(flight: Flight, error: Error): void {
    if (flight.clearPrivileges) this.#clearPrivileges = true;
    if (flight.appended !== undefined) return;
    if (flight.writeThrough || isHopeless(error)) {
      const hadData = this.dirty.unseal(flight, "gone");
      if (!flight.writeThrough && hadData) this.#lose(error);
      return;
    }
    if (!this.dirty.unseal(flight, "open")) return;
    this.failures++;
    this.#events.failed(error);
  }

  #lose(error: Error): void {
    this.#error = error;
    this.#events.lost(error);
  }
}

async function settled(flights: readonly Flight[]): Promise<void> {
  let first: Error | undefined;
  for (const flight of flights) {
    const error = await flight.done;
    first ??= error;
  }
  if (first !== undefined) throw first;
}
