/** Content of files in memory, flushed to a FakeNameServer when asked: what a test writes is dirty until then. */
import type { Attributes, Nanos } from "../../src/base/attributes.ts";
import type { Ino } from "../../src/base/ids.ts";
import type { ContentOwner, Contents, FileContent } from "../../src/cache/types.ts";
import type { FakeNameServer } from "./fake-name-server.ts";

export class FakeContent implements FileContent {
  bytes: Buffer;
  dirtyTime: Nanos | undefined;
  isDirty = false;
  isAskingTime = false;
  isUnknown = false;
  clearPrivileges = false;
  discarded = false;
  /** What happened, in order. */
  readonly log: string[] = [];
  error: Error | undefined;
  /** The next write fails with it. */
  writeError: Error | undefined;
  /** Asynchronous writes wait for it. */
  gate: Promise<void> | undefined;
  readonly owner: ContentOwner;
  private readonly server: FakeNameServer;

  constructor(owner: ContentOwner, attributes: Attributes, server: FakeNameServer) {
    this.owner = owner;
    this.server = server;
    this.bytes = Buffer.alloc(attributes.size);
  }
  get size(): number {
    return this.bytes.length;
  }
  know(): void {
    this.isUnknown = false;
  }
  read(offset: number, length: number): { pieces: Buffer[] } {
    return { pieces: [this.bytes.subarray(offset, offset + length)] };
  }
  write(offset: number, content: Buffer, options: { time: Nanos; clearPrivileges: boolean }): void | Promise<void> {
    const error = this.writeError;
    if (error !== undefined) {
      this.writeError = undefined;
      return Promise.reject(error);
    }
    if (offset + content.length > this.size) {
      this.bytes = Buffer.concat([this.bytes, Buffer.alloc(offset + content.length - this.size)]);
    }
    content.copy(this.bytes, offset);
    this.isDirty = true;
    this.dirtyTime = options.time;
    this.clearPrivileges ||= options.clearPrivileges;
    this.log.push("write");
    if (!this.owner.mayBuffer) return this.flush();
    return this.gate;
  }
  append(content: Buffer, options: { time: Nanos; clearPrivileges: boolean }): number | Promise<number> {
    const at = this.size;
    const written = this.write(at, content, options);
    this.log.push("append");
    return written === undefined || this.owner.mayBuffer ? at : written.then(() => at);
  }
  flush(): Promise<void> {
    this.log.push("flush");
    const since = this.owner.moment;
    if (this.error !== undefined) {
      const error = this.error;
      this.error = undefined;
      return Promise.reject(error);
    }
    if (this.isDirty && !this.discarded) {
      const known = this.server.get(this.owner.ino);
      const mtime = this.dirtyTime ?? known.mtime;
      this.server.changed(this.owner.ino, {
        size: this.size,
        mtime,
        mode: this.clearPrivileges ? known.mode & ~0o6000 : known.mode,
      });
    }
    this.isDirty = false;
    this.dirtyTime = undefined;
    this.clearPrivileges = false;
    if (!this.discarded) this.owner.serverAttributes(this.server.get(this.owner.ino), since);
    return Promise.resolve();
  }
  flushSoon(): void {
    this.log.push("flushSoon");
  }
  async change<T>(options: { discardFrom?: number; keepDirty?: boolean }, run: () => Promise<T>): Promise<T> {
    if (options.keepDirty !== true) {
      if (options.discardFrom !== undefined) this.bytes = this.bytes.subarray(0, options.discardFrom);
      if (options.discardFrom === 0) {
        this.isDirty = false;
        this.dirtyTime = undefined;
      } else await this.flush();
    }
    this.log.push("change");
    return run();
  }
  seek(offset: number): Promise<number> {
    return Promise.resolve(offset);
  }
  forgetDirtyTime(): void {
    this.dirtyTime = undefined;
    this.log.push("forgetDirtyTime");
  }
  serverSize(size: number): void {
    if (this.isDirty) return;
    if (size < this.size) this.bytes = this.bytes.subarray(0, size);
    else this.bytes = Buffer.concat([this.bytes, Buffer.alloc(size - this.size)]);
  }
  lose(why: string): void {
    if (!this.isDirty) return;
    this.isDirty = false;
    this.dirtyTime = undefined;
    this.owner.lost(new Error(why));
  }
  discard(): void {
    this.discarded = true;
    this.isDirty = false;
    this.log.push("discard");
  }
}

export class FakeContents implements Contents {
  readonly files = new Map<Ino, FakeContent>();
  readonly log: string[] = [];
  /** Files whose flushes a change holds back. */
  readonly heldBack = new Set<Ino>();
  /** A flush for a recall waits for it. */
  recallGate: Promise<void> | undefined;
  readonly statistics = { dirtyBytes: 0, cleanBytes: 0, pooledBytes: 0 };
  private readonly server: FakeNameServer;

  constructor(server: FakeNameServer) {
    this.server = server;
  }
  open(owner: ContentOwner, attributes: Attributes): FakeContent {
    const content = new FakeContent(owner, attributes, this.server);
    this.files.set(owner.ino, content);
    return content;
  }
  close(ino: Ino): void {
    this.files.delete(ino);
    this.log.push(`close ${String(ino)}`);
  }
  async flushAll(): Promise<void> {
    this.log.push("flushAll");
    await Promise.all([...this.files.values()].map((file) => file.flush()));
  }
  async flushForRecall(ino: Ino): Promise<void> {
    this.log.push(`flushForRecall ${String(ino)}`);
    await this.recallGate;
    const file = this.files.get(ino);
    if (file?.isDirty === true) await file.flush();
  }
  isHeld(ino: Ino): boolean {
    return this.heldBack.has(ino);
  }
  forget(ino: Ino): void {
    this.log.push(`forget ${String(ino)}`);
  }
  lose(ino: Ino): void {
    this.log.push(`lose ${String(ino)}`);
    this.files.get(ino)?.lose("lease lost");
  }
  sessionLost(): void {
    for (const file of this.files.values()) file.lose("session lost");
  }
  shutdown(): Promise<void> {
    this.log.push("shutdown");
    return Promise.resolve();
  }
}
