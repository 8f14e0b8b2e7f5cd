/**
 * `Notifier` over threads of their own: the serving thread never writes a notification (it would wait for a lock whose
 * holder waits for it), nor does the libuv pool (full of waiting notifications it would read no requests any more).
 *
 * Two lanes: what takes no lock has one thread and leaves in batches; what may wait has several, one notification each,
 * some started when they are needed. A lane's queue is bounded; beyond it a notification is refused with EAGAIN.
 */
import { Worker } from "node:worker_threads";
import { isErrnoName, FsError } from "../base/errno.ts";
import type { Ino } from "../base/ids.ts";
import type { Name } from "../base/name.ts";
import {
  encodeIncrementEpoch,
  encodeInvalidateEntry,
  encodeInvalidateInode,
  encodeResend,
} from "./encode-notification.ts";
import type { NotifyOutcome, NotifyRequest, NotifyWorkerData } from "./notify-messages.ts";
import type { Notifier } from "./operations.ts";

/** Notifications that may wait for different locks at the same time. */
const waitingThreadsMax = 4;
/** Started at once, because a thread takes some 50 ms to start and a notification 50 us: one, and one beside it. */
const waitingThreadsAtStart = 2;
const batchMax = 256;
const bulkThreads = 2;
const bulkQueued = 16 * batchMax;
const queuedMax = 65_536;

interface Queued {
  readonly bytes: Buffer;
  readonly resolve: (known: boolean) => void;
  readonly reject: (error: Error) => void;
}

export class KernelNotifier implements Notifier {
  readonly canInvalidateAllEntries: boolean;
  private readonly fd: number;
  private readonly waitingLane: Lane;
  private readonly promptLane: Lane;

  constructor(fd: number, options: { canIncrementEpoch: boolean }) {
    this.fd = fd;
    this.canInvalidateAllEntries = options.canIncrementEpoch;
    this.waitingLane = new Lane(fd, {
      threadsAtStart: waitingThreadsAtStart,
      threadsMax: waitingThreadsMax,
      batchMax: 1,
    });
    this.promptLane = new Lane(fd, { threadsAtStart: 1, threadsMax: 1, batchMax });
  }

  invalidateAttributes(ino: Ino): Promise<boolean> {
    return this.promptLane.write(encodeInvalidateInode(ino, -1, 0));
  }

  invalidateData(ino: Ino, offset: number, length: number): Promise<boolean> {
    return this.waitingLane.write(encodeInvalidateInode(ino, offset, length));
  }

  invalidateEntry(parent: Ino, name: Name): Promise<boolean> {
    return this.waitingLane.write(encodeInvalidateEntry(parent, name));
  }

  invalidateAllEntries(): Promise<boolean> {
    if (this.canInvalidateAllEntries) return this.promptLane.write(encodeIncrementEpoch());
    return Promise.reject(new FsError("EOPNOTSUPP", "the kernel has no INC_EPOCH (it came with Linux 6.16)"));
  }

  /**
   * As `invalidateData` of everything, for many: threads of their own take many at a time. One that waits for a page's
   * lock holds up those behind it, so whoever answers the request that has the lock must not wait for any of them.
   */
  async invalidateAllData(inos: readonly Ino[]): Promise<void> {
    const lane = new Lane(this.fd, { threadsAtStart: bulkThreads, threadsMax: bulkThreads, batchMax });
    try {
      for (let at = 0; at < inos.length; at += bulkQueued) {
        const some = inos.slice(at, at + bulkQueued);
        await Promise.all(some.map((ino) => lane.write(encodeInvalidateInode(ino, 0, 0))));
      }
    } finally {
      await lane.close();
    }
  }

  /** Every request that is unanswered comes again, also those that a driver before this one has read. */
  async resend(): Promise<void> {
    await this.promptLane.write(encodeResend());
  }

  /** After the connection has ended: nothing waits any more. Queued notifications count as done. */
  async close(): Promise<void> {
    await Promise.all([this.waitingLane.close(), this.promptLane.close()]);
  }
}

class Lane {
  private readonly fd: number;
  private readonly threadsMax: number;
  private readonly batchMax: number;
  private readonly threads: NotifyThread[] = [];
  private queue: Queued[] = [];
  private closed = false;

  constructor(fd: number, bounds: { threadsAtStart: number; threadsMax: number; batchMax: number }) {
    this.fd = fd;
    this.threadsMax = bounds.threadsMax;
    this.batchMax = bounds.batchMax;
    for (let i = 0; i < bounds.threadsAtStart; i++) this.startThread();
  }

  write(bytes: Buffer): Promise<boolean> {
    if (this.closed) return Promise.resolve(false);
    if (this.queue.length >= queuedMax) {
      return Promise.reject(new FsError("EAGAIN", `${String(queuedMax)} notifications wait for the kernel`));
    }
    return new Promise((resolve, reject) => {
      this.queue.push({ bytes, resolve, reject });
      this.pump();
    });
  }

  async close(): Promise<void> {
    this.closed = true;
    for (const queued of this.queue.splice(0)) queued.resolve(false);
    await Promise.all(this.threads.map((thread) => thread.close()));
  }

  private pump(): void {
    while (this.queue.length > 0) {
      const thread = this.threads.find((candidate) => candidate.isIdle) ?? this.startThread();
      if (thread === undefined) return;
      thread.write(this.queue.splice(0, this.batchMax));
    }
  }

  private startThread(): NotifyThread | undefined {
    if (this.threads.length >= this.threadsMax) return undefined;
    const thread = new NotifyThread(this.fd, {
      onIdle: () => {
        this.pump();
      },
      onExit: () => {
        this.threads.splice(this.threads.indexOf(thread), 1);
        if (!this.closed) this.pump();
      },
    });
    this.threads.push(thread);
    return thread;
  }
}

class NotifyThread {
  private readonly worker: Worker;
  private batch: readonly Queued[] = [];
  private closed = false;

  constructor(fd: number, events: { onIdle: () => void; onExit: () => void }) {
    const workerData: NotifyWorkerData = { fd };
    this.worker = startWorker({
      workerData,
      resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 4 },
    });
    this.worker.unref();
    this.worker.on("message", (outcome: NotifyOutcome) => {
      const batch = this.batch;
      this.batch = [];
      for (const [i, queued] of batch.entries()) settle(queued, outcome[i]);
      events.onIdle();
    });
    let failure: Error = new FsError("EIO", "the thread that notifies the kernel has ended");
    this.worker.on("error", (error) => {
      failure = error;
    });
    this.worker.on("exit", () => {
      for (const queued of this.batch) {
        if (this.closed) queued.resolve(false);
        else queued.reject(failure);
      }
      this.batch = [];
      events.onExit();
    });
  }

  get isIdle(): boolean {
    return this.batch.length === 0;
  }

  write(batch: readonly Queued[]): void {
    this.batch = batch;
    const request: NotifyRequest = batch.map(({ bytes }) => bytes);
    this.worker.postMessage(request);
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.worker.terminate();
  }
}

/** ENOENT: the kernel knows no such inode or name. ENOTDIR: no such directory. ENODEV: it knows nothing any more. */
function settle(queued: Queued, errno: string | undefined): void {
  if (errno === undefined) queued.resolve(true);
  else if (errno === "ENOENT" || errno === "ENOTDIR" || errno === "ENODEV") queued.resolve(false);
  else queued.reject(new FsError(isErrnoName(errno) ? errno : "EIO", `the kernel refused a notification: ${errno}`));
}

/** Running from source, the thread needs the loader of TypeScript that this one has. */
function startWorker(options: ConstructorParameters<typeof Worker>[1]): Worker {
  if (!import.meta.url.endsWith(".ts")) return new Worker(new URL("./notify-worker.js", import.meta.url), options);
  const source = new URL("./notify-worker.ts", import.meta.url).href;
  const bootstrap = `import("tsx/esm/api").then((tsx) => { tsx.register(); return import(${JSON.stringify(source)}); });`;
  return new Worker(bootstrap, { ...options, eval: true });
}
