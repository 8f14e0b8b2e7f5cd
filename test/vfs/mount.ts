/** A vfs over fakes, and a kernel's view of it: requests, and notifications as they were sent. */
import { rootIno, toIno, type Ino } from "../../src/base/ids.ts";
import { silentLog } from "../../src/base/log.ts";
import { nameFromText, type Name } from "../../src/base/name.ts";
import { systemClock, type Clock } from "../../src/base/clock.ts";
import type { Entry, Notifier, Operations, RequestContext } from "../../src/fuse/operations.ts";
import { createVfs, type Vfs, type VfsOptions } from "../../src/vfs/vfs.ts";
import { FakeContents } from "./fake-contents.ts";
import { FakeNameServer } from "./fake-name-server.ts";

export class RecordingNotifier implements Notifier {
  readonly sent: string[] = [];
  canInvalidateAllEntries = true;
  /** Whether the kernel had what this line is about. */
  knows: (line: string) => boolean = () => true;
  /** Comes before the answer, where a test wants it late or failing. */
  gate: (line: string) => Promise<void> | undefined = () => undefined;
  invalidateAttributes(ino: Ino): Promise<boolean> {
    return this.record(`attributes ${String(ino)}`);
  }
  invalidateData(ino: Ino, offset: number, length: number): Promise<boolean> {
    return this.record(`data ${String(ino)} ${String(offset)} ${String(length)}`);
  }
  invalidateEntry(parent: Ino, name: Name): Promise<boolean> {
    return this.record(`entry ${String(parent)} ${name}`);
  }
  invalidateAllEntries(): Promise<boolean> {
    return this.record("all entries");
  }
  private async record(line: string): Promise<boolean> {
    this.sent.push(line);
    const gate = this.gate(line);
    if (gate !== undefined) await gate;
    return this.knows(line);
  }
}

export interface FakeMount {
  readonly server: FakeNameServer;
  readonly contents: FakeContents;
  readonly vfs: Vfs;
  readonly operations: Operations;
  readonly notifier: RecordingNotifier;
}

/** A session that nothing ends. */
const longMillis = 1e9;

/** `grants` false: the name server grants no lease. `trusted`: until when the session lives for certain. */
export async function fakeMount(
  options: Partial<VfsOptions> & { grants?: boolean; trusted?: number } = {},
): Promise<FakeMount> {
  const server = new FakeNameServer();
  server.leases.grants = options.grants ?? true;
  const contents = new FakeContents(server);
  const vfs = createVfs({ clock: options.clock ?? systemClock, log: silentLog, ...options });
  server.leases.deliver = (recalls) => {
    void vfs.events.handlers.recallLeases({ recalls: [...recalls] }, {} as never);
  };
  vfs.events.onTrusted(options.trusted ?? longMillis);
  await vfs.events.onSession({ resumed: false });
  const operations = vfs.attach({ nameServer: vfs.leased(server.asNameServer), contents });
  const notifier = new RecordingNotifier();
  await operations.start(notifier);
  return { server, contents, vfs, operations, notifier };
}

/** A request of user 0, or as given. */
export function from(some: Partial<RequestContext> = {}): RequestContext {
  return { uid: 0, gid: 0, pid: 1, unique: 1n, signal: new AbortController().signal, ...some };
}

export function name(text: string): Name {
  return nameFromText(text);
}

/** Files in the root that were there before: old0, old1, ... */
export function fill(server: FakeNameServer, count: number): void {
  for (let i = 0; i < count; i++) {
    const { ino } = server.put({ ino: toIno(1_000 + i) });
    server.entries.get(rootIno)?.set(name(`old${String(i)}`), ino);
  }
}

export async function lookup(operations: Operations, text: string, parent = rootIno): Promise<Entry> {
  const found = await operations.lookup(from(), parent, name(text));
  if ("absent" in found) throw new Error(`${text} is absent`);
  return found;
}

type Created = Awaited<ReturnType<Operations["create"]>>;

export async function createFile(
  operations: Operations,
  text: string,
  options: { mode?: number; flags?: number; parent?: Ino } = {},
): Promise<Created> {
  const { mode = 0o644, flags = 0o2, parent = rootIno } = options;
  return operations.create(from(), parent, name(text), { mode, umask: 0 }, flags);
}

export const writing = { flags: 0o2, fromPageCache: false, killPrivileges: false } as const;

/** Lets everything that is ready run. */
export async function turns(count = 20): Promise<void> {
  for (let i = 0; i < count; i++) await Promise.resolve();
}

/** Time that moves when the test says so. */
export class ManualClock implements Clock {
  private now = 0;
  private timers: { at: number; fn: () => void }[] = [];
  monotonicMillis(): number {
    return this.now;
  }
  wallNanos(): bigint {
    return BigInt(this.now) * 1_000_000n;
  }
  after(millis: number, fn: () => void): { cancel(): void } {
    const timer = { at: this.now + millis, fn };
    this.timers.push(timer);
    return {
      cancel: () => {
        this.timers = this.timers.filter((other) => other !== timer);
      },
    };
  }
  advance(millis: number): void {
    this.now += millis;
    const due = this.timers.filter((timer) => timer.at <= this.now);
    this.timers = this.timers.filter((timer) => timer.at > this.now);
    for (const { fn } of due) fn();
  }
}
