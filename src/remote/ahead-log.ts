/**
 * The ahead log: changes that were answered already, on their way to the name server in the order in which they were
 * made. Batches leave after a moment's wait, several of them may be under way, and after a broken connection they are sent
 * again before anything else; the server applies each exactly once.
 *
 * Invariants: sequences rise by one from batch to batch within a session; a batch is dropped only when it is durable at
 * the server or the log has failed; what is sent after `send` on the same connection sees all that was added before.
 */
import type { Attributes } from "../base/attributes.ts";
import type { Clock, Timer } from "../base/clock.ts";
import { FsError } from "../base/errno.ts";
import { limits } from "../base/limits.ts";
import type { AheadEntry } from "../protocol/ahead.ts";
import type { LeaseGrant } from "../protocol/leases.ts";
import type { ServerPeer } from "./server-link.ts";

export interface AheadLog {
  /** Whether changes may be added: there is room, and the log has not failed. */
  readonly isOpen: boolean;
  /** Adds a change that is answered now. `bytes`: about its size on the wire. */
  add(entry: AheadEntry, bytes: number): void;
  /** As `add`, for a change whose answer waits: resolves when it is durable, with what the inode is then. */
  addAndWait(entry: AheadEntry, bytes: number): Promise<Attributes | undefined>;
  /**
   * Sends all that waits. Undefined: it is on its way, before whatever is sent next. Else resolves when it is: too much
   * is on its way already.
   */
  send(): Promise<void> | undefined;
  /** Resolves when everything added until now is durable. Rejects with EIO once if some of it was lost. */
  flush(): Promise<void>;
  /** Not known to be durable. */
  readonly size: number;
}

export interface AheadEvents {
  /** Durable: what inodes are after a batch, and the leases of new ones. */
  onApplied(attributes: readonly Attributes[], leases: readonly LeaseGrant[], asked: number): void;
  /** Everything that was not durable is lost: somebody else holds what it was made under. */
  onLost(error: Error): void;
  /** The present moment (see Leases). */
  moment(): number;
}

interface Waiting {
  readonly entry: AheadEntry;
  readonly bytes: number;
  readonly done: ((attributes: Attributes | undefined, error?: Error) => void) | undefined;
}

interface Batch {
  readonly sequence: number;
  readonly waiting: readonly Waiting[];
  readonly bytes: number;
  readonly moment: number;
}

interface Watcher {
  readonly sequence: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

const entryBytes = 160;
const batchBytesMax = limits.messageBytesMax / 2;

export class AheadQueue implements AheadLog {
  readonly #clock: Clock;
  readonly #events: AheadEvents;
  readonly #broken: (peer: ServerPeer) => void;
  /** Over which all batches up to the newest have been sent. */
  #peer: ServerPeer | undefined;
  #waiting: Waiting[] = [];
  #batches: Batch[] = [];
  #batchedEntries = 0;
  #bytesInFlight = 0;
  #sequence = 0;
  #timer: Timer | undefined;
  #watchers: Watcher[] = [];
  #senders: (() => void)[] = [];
  #hasFailed = false;
  /** Something was lost of which nobody has been told. */
  #loss: Error | undefined;

  /** @param options.broken called with a connection on which a batch got no answer */
  constructor(options: { clock: Clock; events: AheadEvents; broken: (peer: ServerPeer) => void }) {
    this.#clock = options.clock;
    this.#events = options.events;
    this.#broken = options.broken;
  }

  get isOpen(): boolean {
    return !this.#hasFailed && this.size < limits.aheadEntriesMax;
  }

  get size(): number {
    return this.#waiting.length + this.#batchedEntries;
  }

  add(entry: AheadEntry, bytes: number): void {
    this.#push({ entry, bytes: bytes + entryBytes, done: undefined });
  }

  addAndWait(entry: AheadEntry, bytes: number): Promise<Attributes | undefined> {
    if (this.#hasFailed) return Promise.reject(lost());
    return new Promise((resolve, reject) => {
      const done = (attributes: Attributes | undefined, error?: Error): void => {
        if (error === undefined) resolve(attributes);
        else reject(error);
      };
      this.#push({ entry, bytes: bytes + entryBytes, done });
    });
  }

  send(): Promise<void> | undefined {
    if (this.#waiting.length === 0) return undefined;
    this.#pump();
    if (this.#waiting.length === 0) return undefined;
    return new Promise((resolve) => this.#senders.push(resolve));
  }

  async flush(): Promise<void> {
    for (let coming = this.send(); coming !== undefined; coming = this.send()) await coming;
    if (this.#batches.length > 0) {
      const sequence = this.#sequence;
      await new Promise<void>((resolve, reject) => this.#watchers.push({ sequence, resolve, reject }));
    }
    const loss = this.#loss;
    this.#loss = undefined;
    if (loss !== undefined) throw loss;
  }

  /** On a new connection, before anything else is sent: what is not known to be durable goes first. */
  connected(peer: ServerPeer): void {
    this.#peer = peer;
    for (const batch of this.#batches) this.#post(peer, batch);
    this.#pump({ all: true });
  }

  /** The session is over (`error` says why), and with it what was not durable. A new one begins afresh. */
  endSession(error: Error): void {
    this.#drop(error);
    this.#hasFailed = false;
    this.#sequence = 0;
  }

  close(): void {
    this.#timer?.cancel();
    this.#drop(new FsError("ENOTCONN", "the name server client has been closed"));
    this.#hasFailed = true;
  }

  #push(waiting: Waiting): void {
    this.#waiting.push(waiting);
    if (this.#waiting.length >= limits.aheadBatchMax) this.#pump();
    else
      this.#timer ??= this.#clock.after(limits.aheadMillis, () => {
        this.#timer = undefined;
        this.#pump();
      });
  }

  /** Makes batches of what waits, as far as there may be bytes under way. Without a connection it goes on waiting. */
  #pump({ all = false }: { all?: boolean } = {}): void {
    const peer = this.#peer;
    if (peer === undefined) return;
    while (this.#waiting.length > 0 && (all || this.#bytesInFlight < limits.aheadBytesInFlightMax)) {
      const batch = this.#nextBatch();
      this.#batches.push(batch);
      this.#batchedEntries += batch.waiting.length;
      this.#bytesInFlight += batch.bytes;
      this.#post(peer, batch);
    }
    if (this.#waiting.length > 0) return;
    for (const go of this.#senders.splice(0)) go();
  }

  #nextBatch(): Batch {
    let bytes = 0;
    let count = 0;
    for (const waiting of this.#waiting) {
      if (count === limits.aheadBatchMax || (count > 0 && bytes + waiting.bytes > batchBytesMax)) break;
      bytes += waiting.bytes;
      count++;
    }
    const waiting = this.#waiting.splice(0, count);
    return { sequence: ++this.#sequence, waiting, bytes, moment: this.#events.moment() };
  }

  #post(peer: ServerPeer, batch: Batch): void {
    const request = { sequence: batch.sequence, entries: batch.waiting.map(({ entry }) => entry) };
    peer.call("applyAhead", request, { deadlineMillis: Infinity }).then(
      ({ reply }) => {
        this.#applied(batch, reply);
      },
      (error: unknown) => {
        const errno = error instanceof FsError ? error.errno : undefined;
        if (errno === "ECONNRESET" || errno === "ENOTCONN") this.#disconnected(peer);
        // Else it belongs to a session that has ended, or was answered over another connection.
        else if (this.#batches.includes(batch)) this.#fail(error as Error);
      },
    );
  }

  #disconnected(peer: ServerPeer): void {
    if (this.#peer === peer) this.#peer = undefined;
    this.#broken(peer);
  }

  /** A batch that was sent twice may be answered twice. One that is durable follows on nothing that is not. */
  #applied(batch: Batch, reply: { attributes: readonly Attributes[]; leases: readonly LeaseGrant[] }): void {
    const at = this.#batches.indexOf(batch);
    if (at < 0) return;
    this.#batches.splice(at, 1);
    this.#batchedEntries -= batch.waiting.length;
    this.#bytesInFlight -= batch.bytes;
    this.#events.onApplied(reply.attributes, reply.leases, batch.moment);
    for (const { entry, done } of batch.waiting) {
      if (done === undefined) continue;
      const { ino } = entry.request as { ino?: number };
      done(reply.attributes.find((attributes) => attributes.ino === ino));
    }
    this.#tell((watcher) => watcher.sequence <= batch.sequence);
    if (this.#waiting.length > 0) this.#pump();
  }

  #tell(isDone: (watcher: Watcher) => boolean): void {
    const done = this.#watchers.filter(isDone);
    if (done.length === 0) return;
    this.#watchers = this.#watchers.filter((watcher) => !done.includes(watcher));
    for (const { resolve } of done) resolve();
  }

  #fail(cause: Error): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.#drop(cause);
    this.#events.onLost(cause);
  }

  #drop(cause: Error): void {
    const error = lost(cause);
    const all = [...this.#batches.flatMap(({ waiting }) => waiting), ...this.#waiting];
    // Who waits for a flush is told now, nobody else later.
    if (all.length > 0 && this.#watchers.length === 0) this.#loss = error;
    this.#batches = [];
    this.#waiting = [];
    this.#batchedEntries = 0;
    this.#bytesInFlight = 0;
    for (const { done } of all) done?.(undefined, error);
    for (const { reject } of this.#watchers.splice(0)) reject(error);
    for (const go of this.#senders.splice(0)) go();
  }
}

function lost(cause?: Error): FsError {
  return new FsError("EIO", "changes that were not at the name server yet are lost", { cause });
}
