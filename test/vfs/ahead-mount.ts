/**
 * A vfs over fakes that runs ahead: a log that records entries, and executes them on the fake name server when it is
 * sent or flushed. `/work` is a directory that this client holds alone and knows all names of.
 */
import { fileType } from "../../src/base/attributes.ts";
import { rootIno, toIno, type Ino } from "../../src/base/ids.ts";
import { silentLog } from "../../src/base/log.ts";
import { systemClock } from "../../src/base/clock.ts";
import { FsError } from "../../src/base/errno.ts";
import type { Operations, RequestContext } from "../../src/fuse/operations.ts";
import type { AheadEntry } from "../../src/protocol/ahead.ts";
import type { LeaseLevel } from "../../src/protocol/leases.ts";
import type { AheadLog } from "../../src/remote/ahead-log.ts";
import type { NameServer } from "../../src/remote/types.ts";
import { createVfs } from "../../src/vfs/vfs.ts";
import { FakeContents } from "./fake-contents.ts";
import { FakeNameServer } from "./fake-name-server.ts";
import { from, name, RecordingNotifier, type FakeMount } from "./mount.ts";

export class FakeLog implements AheadLog {
  /** All that was ever added, in order. */
  readonly entries: AheadEntry[] = [];
  isOpen = true;
  /** How many of them the name server has executed. */
  executed = 0;
  /** Flushing rejects with it, once. */
  error: Error | undefined;
  readonly #server: FakeNameServer;

  constructor(server: FakeNameServer) {
    this.#server = server;
  }

  get size(): number {
    return this.entries.length - this.executed;
  }
  get last(): AheadEntry {
    const last = this.entries.at(-1);
    if (last === undefined) throw new Error("nothing ran ahead");
    return last;
  }
  add(entry: AheadEntry): void {
    this.entries.push(entry);
  }
  async addAndWait(entry: AheadEntry): Promise<undefined> {
    this.entries.push(entry);
    await this.flush();
    return undefined;
  }
  /** The fake server executes calls a turn later, in the order of calling: what is sent now comes first. */
  send(): undefined {
    while (this.executed < this.entries.length) {
      const entry = this.entries[this.executed++];
      if (entry !== undefined) this.#execute(entry);
    }
  }
  async flush(): Promise<void> {
    this.send();
    await Promise.resolve();
    const { error } = this;
    this.error = undefined;
    if (error !== undefined) throw error;
  }

  #execute(entry: AheadEntry): void {
    if (!("ino" in entry)) {
      void this.#server.asNameServer.change(entry.method as "unlink", entry.request as never);
      this.#server.calls.pop();
      return;
    }
    const { ino, method, request } = entry;
    const names = this.#server.entries.get(request.parent);
    if (names === undefined || names.has(request.name)) throw new Error(`${method} ${request.name} is refused`);
    names.set(request.name, ino);
    const { uid, gid } = request.caller;
    if (method === "mkdir") {
      this.#server.put({ ino, mode: fileType.directory | (request.mode & ~request.umask), nlink: 2, uid, gid });
      this.#server.entries.set(ino, new Map());
    } else if (method === "create") {
      this.#server.put({ ino, mode: fileType.regular | (request.mode & ~request.umask), uid, gid });
    } else {
      this.#server.put({ ino, mode: fileType.symlink | 0o777, uid, gid, size: request.target.length });
    }
    this.#server.changed(request.parent, { mtime: this.#server.now });
    this.#server.leases.grant(ino, "exclusive");
  }
}

export interface AheadMount extends FakeMount {
  readonly log: FakeLog;
  /** Numbers of inodes that are at hand. */
  readonly numbers: { next: number | undefined };
  readonly nameServer: NameServer;
  readonly work: Ino;
}

/** @param options.work mode and owner of `/work` */
export async function aheadMount(options: { mode?: number; uid?: number; gid?: number } = {}): Promise<AheadMount> {
  const server = new FakeNameServer();
  const log = new FakeLog(server);
  const numbers: { next: number | undefined } = { next: 5_000 };
  server.script("acquire", ({ ino }: { ino: Ino }) => ({ attributes: server.get(ino) }));
  server.script("heartbeat", () => {
    throw new FsError("ENOSYS", "none here");
  });
  const contents = new FakeContents(server);
  const vfs = createVfs({ clock: systemClock, log: silentLog });
  server.leases.deliver = (recalls) => {
    void vfs.events.handlers.recallLeases({ recalls: [...recalls] }, {} as never);
  };
  vfs.events.onTrusted(1e9);
  await vfs.events.onSession({ resumed: false });
  const inodeNumbers = { take: () => (numbers.next === undefined ? undefined : toIno(numbers.next++)) };
  const nameServer = vfs.leased({ ...server.asNameServer, ahead: log, inodeNumbers, nowNanos: () => server.tick() });
  const operations = vfs.attach({ nameServer, contents });
  const notifier = new RecordingNotifier();
  await operations.start(notifier);

  const { mode = 0o755, uid = 0, gid = 0 } = options;
  const made = await operations.mkdir(from(), rootIno, name("work"), { mode: 0o755, umask: 0 });
  const work = made.attributes.ino;
  const mount = { server, contents, vfs, operations, notifier, log, numbers, nameServer, work };
  if (mode !== 0o755 || uid !== 0 || gid !== 0) {
    await operations.setattr(from(), work, undefined, { mode: fileType.directory | mode, uid, gid });
  }
  server.takeMethods();
  return mount;
}

/** Gets a lease of an inode, and its attributes under it. */
export async function acquire({ nameServer, operations }: AheadMount, ino: Ino, level: LeaseLevel): Promise<void> {
  if (level !== "none") await nameServer.ask("acquire", { ino, level });
  await operations.getattr(from(), ino, undefined);
}

/** Makes an empty file in `/work` that nobody has open. */
export async function file(
  mount: AheadMount,
  text: string,
  { mode = 0o644, request = from() }: { mode?: number; request?: RequestContext } = {},
): Promise<Ino> {
  const { operations, work } = mount;
  const { entry, opened } = await operations.create(request, work, name(text), { mode, umask: 0 }, 1);
  await operations.release(from(), entry.attributes.ino, opened.handle, undefined);
  return entry.attributes.ino;
}

export async function folder(mount: AheadMount, text: string, parent = mount.work): Promise<Ino> {
  const made = await mount.operations.mkdir(from(), parent, name(text), { mode: 0o755, umask: 0 });
  return made.attributes.ino;
}

export type Change = (operations: Operations) => unknown;

/** How it went: answered without a message, by asking, or both ways wrong. */
export async function way(mount: AheadMount, change: Change): Promise<string> {
  const { log, server, operations } = mount;
  const before = log.entries.length;
  server.takeMethods();
  let result: unknown;
  try {
    result = change(operations);
  } catch (error) {
    return `thrown: ${String(error)}`;
  }
  const atOnce = !(result instanceof Promise);
  let failure = "";
  try {
    await result;
  } catch (error) {
    failure = `, ${String((error as Error).message.split(":", 1)[0])}`;
  }
  const added = log.entries.slice(before).map(({ method }) => method);
  // Leases for changes to come may be asked for beside it.
  const asked = server.takeMethods().filter((method) => method !== "acquire" && method !== "readdir");
  if (atOnce && asked.length === 0 && added.length > 0) return `ahead: ${added.join(" ")}`;
  if (!atOnce && added.length === 0) return `asked: ${asked[0] ?? "nothing"}${failure}`;
  return `at once ${String(atOnce)}, added ${added.join(" ")}, asked ${asked.join(" ")}${failure}`;
}
