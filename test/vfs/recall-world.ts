/** One client that gives leases back: real tables and leases; the kernel, content and the name server note what they are asked. */
import { fileType } from "../../src/base/attributes.ts";
import { toIno, type Ino } from "../../src/base/ids.ts";
import { silentLog, type Log, type LogFields } from "../../src/base/log.ts";
import { createLeases, type Leases } from "../../src/cache/leases.ts";
import type { LeaseNews, LeaseRecall, LeaseScope } from "../../src/protocol/leases.ts";
import { createBackground } from "../../src/vfs/background.ts";
import { createCoherence } from "../../src/vfs/coherence.ts";
import type { Core } from "../../src/vfs/core.ts";
import { createDentryCache } from "../../src/vfs/dentry-cache.ts";
import type { Inode } from "../../src/vfs/inode.ts";
import { createInodeTable, type InodeTable } from "../../src/vfs/inode-table.ts";
import { createInvalidations } from "../../src/vfs/invalidations.ts";
import type { KernelCaches } from "../../src/vfs/kernel-caches.ts";
import { createRecalls } from "../../src/vfs/recalls.ts";
import { FakeNameServer } from "./fake-name-server.ts";
import { ManualClock, RecordingNotifier } from "./mount.ts";

export const [folder, file, other] = [toIno(7), toIno(8), toIno(9)];

/** One client that remembers some inodes, and everything else it works with. */
export class World {
  readonly clock = new ManualClock();
  readonly leases: Leases = createLeases(this.clock);
  /** Flushes, what the kernel is asked, and news: in order. */
  readonly trace: string[] = [];
  readonly messages: (readonly LeaseNews[])[] = [];
  readonly errors: LogFields[] = [];
  readonly notifier = new RecordingNotifier();
  /** Whether a change of the file holds its flush back. */
  isHeld = false;
  flushed: Promise<void> | undefined;
  forgotten: Promise<void> | undefined;
  readonly log: Log = { ...silentLog, error: (fields) => this.errors.push(fields) };
  readonly background = createBackground(this.log);
  readonly coherence = createCoherence(this.leases, createInvalidations(this.background));
  readonly dentries = createDentryCache(1_000);
  readonly inodes: InodeTable = createInodeTable({
    coherence: this.coherence,
    attributesMax: 1_000,
    foreseenMax: 1_000,
    unused: () => undefined,
    gone: () => undefined,
  });
  readonly core = {
    leases: this.leases,
    clock: this.clock,
    log: this.log,
    background: this.background,
    dentries: this.dentries,
    inodes: this.inodes,
    notifier: this.notifier,
    contents: {
      flushForRecall: async (ino: Ino): Promise<void> => {
        this.trace.push(`flush ${String(ino)}`);
        await this.flushed;
        this.trace.push(`is flushed ${String(ino)}`);
      },
      isHeld: (): boolean => this.isHeld,
      forget: (ino: Ino): void => {
        this.trace.push(`forget extents ${String(ino)}`);
      },
    },
    nameServer: {
      tell: (news: readonly LeaseNews[]): void => {
        this.messages.push(news);
        for (const one of news) this.trace.push(text(one));
      },
    },
    kernelCaches: this.kernelCaches(),
  };
  private readonly recalls = createRecalls(this.core as unknown as Core);
  private readonly server = new FakeNameServer();
  private number = 0;

  constructor() {
    this.leases.trust(1e9);
  }

  /** Leased, with attributes asked for under the lease. */
  enter(ino: Ino, level: "shared" | "exclusive", type: number = fileType.regular): Inode {
    this.leases.granted([{ ino, number: ++this.number, level }], this.leases.moment);
    return this.inodes.enter(this.server.put({ ino, mode: type | 0o644 }), this.leases.moment);
  }

  recallOf(ino: Ino, to: LeaseRecall["to"], drop: readonly LeaseScope[]): LeaseRecall {
    return { ino, number: ++this.number, to, drop };
  }

  /** Returns its number. What it did in this turn is done. */
  recall(ino: Ino, to: LeaseRecall["to"] = "none", drop: readonly LeaseScope[] = [{ kind: "everything" }]): number {
    const recall = this.recallOf(ino, to, drop);
    this.recallAll([recall]);
    return recall.number;
  }

  recallAll(recalls: readonly LeaseRecall[]): void {
    this.recalls.recalled(recalls);
  }

  take(): string[] {
    return this.trace.splice(0);
  }

  private kernelCaches(): KernelCaches {
    const forget = async (line: string): Promise<void> => {
      this.trace.push(`kernel: ${line}`);
      await this.forgotten;
    };
    return {
      forgetNames: (directory, names) => {
        const all = names.map((one) => `${one.name}${one.mayBeDirectory ? "?" : ""}`).join(" ");
        return forget(`names ${String(directory.ino)} ${all}`);
      },
      forgetDirectory: ({ ino }) => forget(`directory ${String(ino)}`),
      forgetListing: ({ ino }) => forget(`listing ${String(ino)}`),
      forgetAttributes: ({ ino }) => forget(`attributes ${String(ino)}`),
      forgetData: ({ ino }, offset, length) => forget(`data ${String(ino)} ${String(offset)} ${String(length)}`),
    };
  }
}

function text(news: LeaseNews): string {
  if (!("ino" in news)) return news.kind;
  return `${news.kind} ${String(news.ino)}${"number" in news ? ` #${String(news.number)}` : ""}`;
}

export interface Gate {
  readonly wait: Promise<void>;
  readonly open: () => void;
  readonly fail: (error: Error) => void;
}

export function gate(): Gate {
  const out: { open?: () => void; fail?: (error: Error) => void } = {};
  const wait = new Promise<void>((resolve, reject) => {
    out.open = resolve;
    out.fail = reject;
  });
  return { wait, ...(out as Required<typeof out>) };
}
