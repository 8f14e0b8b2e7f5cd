/**
 * One regular file in use: see FileContent in types.ts. Ties together what is unwritten (WriteBuffer), what is known of
 * its extents (Layout), reading (FileReader) and writing (FileWriter).
 *
 * Invariants: the size is the server's, or the end of unwritten data if that is more; without a lease no extents are
 * remembered.
 */
import type { Attributes, Nanos } from "../base/attributes.ts";
import { FsError } from "../base/errno.ts";
import type { Ino } from "../base/ids.ts";
import type { Extent } from "../protocol/types.ts";
import type { WriteReply } from "./commit-queue.ts";
import type { ContentContext } from "./content-context.ts";
import { FileReader } from "./file-reader.ts";
import { FileWriter } from "./file-writer.ts";
import { FreshExtents } from "./fresh-extents.ts";
import { Gate } from "./gate.ts";
import { LayoutBudget } from "./layout-budget.ts";
import { Layout, type ExtentPage } from "./layout.ts";
import { seekContent } from "./seek.ts";
import { ServerFile } from "./server-file.ts";
import type { ContentOwner, FileContent, ReadPieces, WriteOptions } from "./types.ts";
import { WriteBuffer } from "./write-buffer.ts";
import { abortable } from "./abortable.ts";

/** What a file asks of the whole: background work. */
export interface ContentHost {
  dirtied(file: CachedFile): void;
  flushFailed(file: CachedFile, error: Error): void;
  flushSoon(file: CachedFile): void;
  committed(file: CachedFile, extents: readonly Extent[]): void;
  /** Something was written: memory may be scarce now. */
  written(): void;
  /** A change that held back background work has ended. */
  released(): void;
}

export class CachedFile implements FileContent {
  readonly ino: Ino;
  readonly buffer: WriteBuffer;
  readonly layout: Layout;
  readonly #context: ContentContext;
  readonly #host: ContentHost;
  readonly #owner: ContentOwner;
  readonly #server: ServerFile;
  readonly #reader: FileReader;
  readonly #writer: FileWriter;
  readonly #gate = new Gate();
  /** Since when the layout was asked for: a lease that has not lasted since then makes it worth nothing. */
  #layoutSince: number;
  /** Unwritten data from here on is about to be dropped by a change. */
  #discardFrom = Infinity;

  constructor(context: ContentContext, host: ContentHost, owner: ContentOwner, attributes: Attributes) {
    this.ino = owner.ino;
    this.#context = context;
    this.#host = host;
    this.#owner = owner;
    this.#server = new ServerFile(context, owner, {
      size: attributes.size,
      isSettled: () => this.buffer.queue.isEmpty && !this.#gate.isClosed,
    });
    this.buffer = new WriteBuffer(context, owner.ino, {
      fileBytes: () => this.size,
      moment: () => owner.moment,
      runsAhead: () => owner.runsAhead,
      insists: () => owner.insists,
      replicas: () => owner.replicas,
      committed: (extents, reply, since) => {
        this.#committed(extents, reply, since);
      },
      becameDirty: () => {
        host.dirtied(this);
      },
      failed: (error) => {
        host.flushFailed(this, error);
      },
      lost: (error) => {
        owner.lost(error);
      },
    });
    this.layout = this.#newLayout(context.layouts);
    this.#layoutSince = owner.moment;
    if (attributes.size === 0 && owner.mayCache) this.layout.knowEmpty();
    this.#reader = new FileReader(context, { ino: owner.ino, dirty: this.buffer.dirty, size: () => this.size });
    this.#writer = new FileWriter(context, {
      ...{ owner, gate: this.#gate, buffer: this.buffer, size: () => this.size },
      isSizeKnown: () => this.#server.isSizeKnown,
      written: () => {
        host.written();
      },
    });
  }

  get size(): number {
    return Math.max(this.#server.size, Math.min(this.buffer.dirty.end, this.#discardFrom));
  }

  get dirtyTime(): Nanos | undefined {
    return this.buffer.time;
  }

  get isDirty(): boolean {
    return this.buffer.isDirty;
  }

  get isAskingTime(): boolean {
    return this.buffer.queue.isAskingTime;
  }

  get mayBuffer(): boolean {
    return this.#owner.mayBuffer;
  }

  get replicas(): number | undefined {
    return this.#owner.replicas;
  }

  /** A change runs: background work keeps away. */
  get isHeld(): boolean {
    return this.#gate.isClosed;
  }

  /** Whether a flush would do nothing, and wait for nothing. */
  get isQuiet(): boolean {
    return this.buffer.isQuiet && !this.isHeld;
  }

  get isUnknown(): boolean {
    return !this.isDirty && !this.#gate.isClosed && this.layout.isUnknown;
  }

  know(extents: readonly Extent[]): void {
    if (this.isUnknown && this.#owner.mayCache) this.#believedLayout().know(extents);
  }

  read(offset: number, length: number, signal?: AbortSignal): ReadPieces | Promise<ReadPieces> {
    if (!this.#owner.mayCache || !this.#server.isSizeKnown) return this.#readUncached(offset, length, signal);
    return this.#reader.read(this.#believedLayout(), offset, Math.min(offset + length, this.size), signal);
  }

  write(offset: number, content: Buffer, terms: WriteOptions): void | Promise<void> {
    return this.#writer.write(offset, content, terms);
  }

  append(content: Buffer, terms: WriteOptions): number | Promise<number> {
    return this.#writer.append(content, terms);
  }

  async flush(signal?: AbortSignal): Promise<void> {
    if (this.#gate.isClosed) await abortable(this.#gate.opened(), signal);
    await abortable(this.buffer.flush(), signal);
  }

  flushSoon(): void {
    this.#host.flushSoon(this);
  }

  async change<T>(options: { discardFrom?: number; keepDirty?: boolean }, run: () => Promise<T>): Promise<T> {
    try {
      return await this.#changeAlone(options, run);
    } finally {
      this.#host.released();
    }
  }

  #changeAlone<T>(options: { discardFrom?: number; keepDirty?: boolean }, run: () => Promise<T>): Promise<T> {
    return this.#gate.whileClosed(async () => {
      if (options.keepDirty === true) {
        await this.buffer.arrived().catch(() => undefined); // what failed is kept, and sent again later
        return run();
      }
      const { discardFrom = Infinity } = options;
      this.buffer.seal({ below: discardFrom, urgent: true });
      try {
        await this.buffer.arrived();
      } catch (error) {
        if ((this.buffer.dirty.nextStart(0) ?? Infinity) < discardFrom) throw error;
      }
      this.#discardFrom = discardFrom;
      try {
        const result = await run();
        this.buffer.cut(discardFrom);
        return result;
      } finally {
        this.#discardFrom = Infinity;
        this.layout.forget();
      }
    });
  }

  async seek(offset: number, whence: 3 | 4): Promise<number> {
    if (!this.#server.isSizeKnown) await this.buffer.written();
    const { blockBytesMax } = this.#context.limits;
    const options = { dirty: this.buffer.dirty, size: () => this.size, stretchBytes: blockBytesMax };
    if (this.#owner.mayCache) return seekContent(offset, whence, { ...options, extents: this.#believedLayout() });
    const extents = this.#newLayout(new LayoutBudget(this.#context.layouts.bytesMax));
    return this.#server.whileAsking(extents, async () => {
      await extents.ensure(offset, offset + 1);
      return seekContent(offset, whence, { ...options, extents });
    });
  }

  forgetDirtyTime(): void {
    this.buffer.forgetTime();
  }

  serverSize(size: number): void {
    if (!this.buffer.queue.isEmpty && !this.#gate.isClosed) {
      // The reply of the commit on its way may be newer than this or not; neither of the two sizes may be built on then.
      if (size !== this.#server.size && size !== this.size) this.#server.doubtSize();
      return;
    }
    if (size !== this.#server.size) this.layout.forget();
    else if (!this.#gate.isClosed) return;
    this.#server.changed(size);
  }

  discard(): void {
    this.buffer.drop(undefined, new FsError("ENOENT", `inode ${String(this.ino)} was removed`));
  }

  /** The session ended. */
  lose(error: Error): void {
    this.buffer.drop(error, error);
    this.layout.forget();
  }

  close(): void {
    this.#reader.close();
    this.layout.forget();
  }

  /**
   * Also what a reader fetched while the lease was being given back, and could not know to be old, is forgotten when there
   * is a lease again.
   */
  #believedLayout(): Layout {
    if (!this.#owner.holds(this.#layoutSince)) {
      this.layout.forget();
      this.#layoutSince = this.#owner.moment;
    }
    return this.layout;
  }

  async #readUncached(offset: number, length: number, signal: AbortSignal | undefined): Promise<ReadPieces> {
    let size = 0;
    const before = this.#server.version;
    const extents = new FreshExtents(async (at, bytes) => {
      const page = await this.#server.ask(at, bytes);
      size = page.size;
      return page;
    });
    return this.#server.whileAsking(extents, async () => {
      await abortable(extents.ensure(offset, offset + length), signal);
      const known = before === this.#server.version ? this.buffer.dirty.end : this.size;
      return this.#reader.readOnce(extents, offset, Math.min(offset + length, Math.max(size, known)), signal);
    });
  }

  #newLayout(budget: LayoutBudget): Layout {
    const { blockBytesMax, fileBytesMax } = this.#context.limits;
    const ask = (offset: number): Promise<ExtentPage> =>
      this.#server.ask(offset, fileBytesMax - offset, offset === 0 ? this.#owner.companions() : []);
    return new Layout({ stretchBytes: blockBytesMax, budget, ask });
  }

  #committed(extents: readonly Extent[], reply: WriteReply, since: number): void {
    this.layout.committed(extents);
    this.#server.committed(extents, reply, since);
    this.#host.committed(this, extents);
    this.#owner.serverAttributes(reply.attributes, since);
  }
}
