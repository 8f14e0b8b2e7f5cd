/**
 * The flights of one file: writes their blocks in parallel, and tells the name server of them in the order in which
 * they were formed, one request at a time; what is ready together travels together.
 *
 * Invariants: extents are committed only after their blocks are durable; a flight that fails does not stop later ones
 * (they hold newer data). When the queue is empty every flight has settled.
 */
import { errnoOf, FsError } from "../base/errno.ts";
import type { Ino } from "../base/ids.ts";
import type { Extent } from "../protocol/types.ts";
import type { NameServerMethods } from "../protocol/name-server.ts";
import type { ContentContext } from "./content-context.ts";
import { extentsOf, payloadOf, type Flight } from "./flight.ts";
import { asError } from "./flush-errors.ts";

export type WriteReply = ReturnType<NameServerMethods["writeExtents"]["reply"]>;

type WriteRequest = ReturnType<NameServerMethods["writeExtents"]["request"]>;

export interface CommitEvents {
  /** Sent at `since`; without a reply the file is gone by now. In the server's order. The extents' inline content is borrowed. */
  committed(flights: readonly Flight[], extents: readonly Extent[], reply: WriteReply | undefined, since: number): void;
  /** Whether content may run ahead. */
  runsAhead(): boolean;
  /** Whether the kernel keeps what was written: see ContentOwner. */
  insists(): boolean;
  /** Copies that blocks of the file are to have: see ContentOwner. */
  replicas(): number | undefined;
  /** The present moment. */
  moment(): number;
  failed(flight: Flight, error: Error): void;
}

interface Task {
  readonly kind: "task";
  readonly run: () => Promise<void>;
}

/** A block whose group moves on again and again is given up after so many tries. */
const rewritesMax = 5;
const encodedExtentBytes = 96;

export class CommitQueue {
  readonly #context: ContentContext;
  readonly #ino: Ino;
  readonly #events: CommitEvents;
  #items: (Flight | Task)[] = [];
  #isCommitting = false;
  /** A request is on its way that sets the mtime. */
  isAskingTime = false;

  constructor(context: ContentContext, ino: Ino, events: CommitEvents) {
    this.#context = context;
    this.#ino = ino;
    this.#events = events;
  }

  /** No flight is on its way. */
  get isEmpty(): boolean {
    return this.#items.every((item) => item.kind === "task");
  }

  flights(): Flight[] {
    return this.#items.filter((item): item is Flight => item.kind !== "task");
  }

  /** Resolves when everything that is in it now has settled. Never rejects. */
  async drained(): Promise<void> {
    for (const flight of this.flights()) await flight.done;
  }

  add(flight: Flight): void {
    this.#items.push(flight);
    this.#context.memory.flyingBytes += flight.bytes;
    if (flight.kind === "block") this.#writeBlock(flight);
    this.#pump();
  }

  /** Runs when everything added before has been committed, and holds back what is added later. */
  exclusive<T>(run: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#items.push({ kind: "task", run: () => run().then(resolve, reject) });
      this.#pump();
    });
  }

  /** Fails every flight that is not settled; none is sent any more. */
  cancel(error: Error): void {
    for (const flight of this.flights()) this.#fail(flight, error);
  }

  #writeBlock(flight: Flight): void {
    this.#context.slots.run(flight, async () => {
      if (isSettled(flight)) return;
      flight.users++;
      try {
        const payload = payloadOf(flight.pieces);
        const block = await this.#context.writer.write(payload, { replicas: this.#events.replicas() });
        flight.block = block;
        this.#context.blocks.written(block.block, payload);
        if (isSettled(flight)) this.#context.writer.discard(block.block);
        else flight.state = "ready";
      } catch (error) {
        this.#fail(flight, asError(error));
      } finally {
        this.#letGo(flight);
      }
      this.#pump();
    });
  }

  #fail(flight: Flight, error: Error): void {
    if (isSettled(flight)) return;
    flight.state = "settled";
    if (flight.block !== undefined) this.#context.writer.discard(flight.block.block);
    this.#items = this.#items.filter((item) => item !== flight);
    this.#events.failed(flight, error);
    this.#finish(flight, error);
  }

  /** Whoever waits is told only when nobody reads the flight's bytes any more. */
  #finish(flight: Flight, error: Error | undefined): void {
    flight.error = error;
    flight.users++;
    this.#letGo(flight);
  }

  #letGo(flight: Flight): void {
    if (--flight.users > 0 || !isSettled(flight)) return;
    for (const { chunk } of flight.pieces) this.#context.memory.drop(chunk);
    this.#context.memory.landed(flight.bytes);
    flight.settle(flight.error);
  }

  #pump(): void {
    if (this.#isCommitting) return;
    const [first] = this.#items;
    if (first === undefined || (first.kind !== "task" && first.state !== "ready")) return;
    this.#isCommitting = true;
    const step = first.kind === "task" ? this.#runTask(first) : this.#commit(this.#batch());
    void step.finally(() => {
      this.#isCommitting = false;
      this.#pump();
    });
  }

  async #runTask(task: Task): Promise<void> {
    await task.run();
    this.#items = this.#items.filter((item) => item !== task);
  }

  /** Ready flights from the first on that fit one request and go upwards in the file. */
  #batch(): Flight[] {
    const { limits } = this.#context;
    const batch: Flight[] = [];
    let extents = 0;
    let inlineBytes = 0;
    for (const item of this.#items) {
      if (item.kind === "task" || item.state !== "ready") break;
      extents += item.pieces.length;
      if (item.kind === "inline") inlineBytes += item.bytes;
      const last = batch.at(-1);
      if (last !== undefined) {
        const fits =
          extents <= limits.extentsPerMessageMax &&
          inlineBytes <= limits.inlineBytesPerRequestMax &&
          inlineBytes + extents * encodedExtentBytes <= limits.messageBytesMax &&
          item.start >= last.end &&
          item.appended === undefined &&
          last.appended === undefined;
        if (!fits) break;
      }
      batch.push(item);
    }
    return batch;
  }

  async #commit(batch: readonly Flight[]): Promise<void> {
    const { nameServer, limits, memory } = this.#context;
    let borrowed = 0;
    const extents = batch.flatMap((flight) =>
      extentsOf(flight, limits, (bytes) => {
        if (!memory.borrow(bytes)) return false;
        borrowed += bytes;
        return true;
      }),
    );
    const epochs = new Map(batch.flatMap(({ block }) => (block ? [[block.block.group, block.epoch] as const] : [])));
    const time = batch.at(-1)?.time;
    for (const flight of batch) flight.users++;
    const since = this.#events.moment();
    try {
      const request = {
        ino: this.#ino,
        extents,
        epochs: Array.from(epochs, ([group, epoch]) => ({ group, epoch })),
        size: Math.max(...batch.map(({ end }) => end)),
        append: batch[0]?.appended !== undefined,
        ...(time === undefined ? {} : { mtime: time }),
        clearPrivileges: batch.some(({ clearPrivileges }) => clearPrivileges),
      };
      // A block may be refused because its group has moved on: what runs ahead is never refused.
      const ahead = epochs.size === 0 && !request.append && this.#events.runsAhead();
      const isUrgent = batch.some(({ urgent }) => urgent);
      this.isAskingTime = !ahead && time !== undefined;
      const reply = ahead
        ? await this.#runAhead(request, isUrgent)
        : await nameServer.change("writeExtents", { ...request, insist: this.#events.insists() });
      this.#settle(batch, extents, reply, since);
    } catch (error) {
      for (const flight of batch) this.#retryOrFail(flight, error);
    } finally {
      this.isAskingTime = false;
      for (const flight of batch) this.#letGo(flight);
      if (borrowed > 0) memory.charge(-borrowed);
    }
  }

  async #runAhead(request: Omit<WriteRequest, "op">, isUrgent: boolean): Promise<WriteReply | undefined> {
    const { nameServer } = this.#context;
    let bytes = 0;
    for (const { length } of request.extents) bytes += length + encodedExtentBytes;
    const entry = { method: "writeExtents", time: nameServer.nowNanos(), request } as const;
    const durable = nameServer.ahead.addAndWait(entry, bytes);
    if (isUrgent) void nameServer.ahead.send();
    const attributes = await durable;
    return attributes === undefined ? undefined : { attributes, appendedAt: 0 };
  }

  #settle(batch: readonly Flight[], extents: readonly Extent[], reply: WriteReply | undefined, since: number): void {
    const alive = batch.filter((flight) => !isSettled(flight));
    if (alive.length === 0) return;
    for (const flight of alive) flight.state = "settled";
    this.#items = this.#items.filter((item) => item.kind === "task" || item.state !== "settled");
    this.#events.committed(alive, extents, reply, since);
    for (const flight of alive) this.#finish(flight, undefined);
  }

  #retryOrFail(flight: Flight, error: unknown): void {
    if (isSettled(flight)) return;
    if (errnoOf(error) !== "ESTALE") {
      this.#fail(flight, asError(error));
      return;
    }
    if (++flight.rewrites > rewritesMax) {
      const context = `inode ${String(this.#ino)}: written ${String(rewritesMax)} times under an epoch that had ended`;
      this.#fail(flight, new FsError("EIO", context, { cause: error }));
      return;
    }
    if (flight.block !== undefined) this.#context.writer.discard(flight.block.block);
    if (flight.kind === "inline") return;
    flight.state = "queued";
    flight.block = undefined;
    this.#writeBlock(flight);
  }
}

/** A function, because the compiler does not see that an await lets others change the state. */
function isSettled(flight: Flight): boolean {
  return flight.state === "settled";
}
