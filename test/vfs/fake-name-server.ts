/**
 * A name server for unit tests: names and attributes in maps, no permissions, no content. Every call is recorded; a
 * test may hold answers back or make them fail. It grants leases (fake-leases.ts) when it executes a call, so before an
 * answer that is held back.
 */
import { fileType, isDirectory, type Attributes } from "../../src/base/attributes.ts";
import { FsError, type ErrnoName } from "../../src/base/errno.ts";
import { rootIno, toIno, type Ino } from "../../src/base/ids.ts";
import type { Name } from "../../src/base/name.ts";
import type { NameServer } from "../../src/remote/types.ts";
import { nothingAhead } from "../support/closed-log.ts";
import { FakeLeases } from "./fake-leases.ts";

export interface Call {
  readonly method: string;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- tests look into requests of any method
  readonly request: any;
}
type Script = (request: Call["request"]) => unknown;

export class FakeNameServer {
  readonly calls: Call[] = [];
  readonly inodes = new Map<Ino, Attributes>();
  readonly entries = new Map<Ino, Map<Name, Ino>>();
  readonly xattrs = new Map<Ino, Map<Name, Buffer>>();
  /** Nanoseconds; each change takes one more. */
  now = 1_000_000n;
  bytesFree = 1e9;
  closed = false;
  readonly leases = new FakeLeases();
  private last: number = rootIno;
  private readonly scripts = new Map<string, Script>();
  private readonly gates = new Map<string, Promise<void>>();

  constructor() {
    this.put({ ino: rootIno, mode: fileType.directory | 0o755, nlink: 2 });
    this.entries.set(rootIno, new Map());
  }

  /** As the vfs gets it. */
  get asNameServer(): NameServer {
    const call = (method: string, request: unknown, options?: { signal?: AbortSignal }): Promise<unknown> =>
      this.answer(method, request, options?.signal);
    return {
      ask: call,
      change: call,
      tell: (news: Parameters<NameServer["tell"]>[0]) => {
        this.leases.told(news);
      },
      ...nothingAhead,
      nowNanos: () => this.now,
      bytesFree: this.bytesFree,
      close: () => {
        this.closed = true;
        return Promise.resolve();
      },
    } as unknown as NameServer;
  }

  /** Answers `method` by `script` from now on. */
  script(method: string, script: Script): void {
    this.scripts.set(method, script);
  }
  fail(method: string, errno: ErrnoName): void {
    this.script(method, () => {
      throw new FsError(errno, "made to fail");
    });
  }
  unscript(method: string): void {
    this.scripts.delete(method);
  }
  /** Executes `method` at once but keeps its answers until the returned function is called. */
  hold(method: string): () => void {
    let open: () => void = () => undefined;
    this.gates.set(
      method,
      new Promise((resolve) => {
        open = () => {
          this.gates.delete(method);
          resolve();
        };
      }),
    );
    return () => {
      open();
    };
  }

  count(method: string): number {
    return this.calls.filter((call) => call.method === method).length;
  }
  /** Names of the methods called since the last time this was asked. */
  takeMethods(): string[] {
    return this.calls.splice(0).map((call) => call.method);
  }

  tick(): bigint {
    return ++this.now;
  }
  put(some: Partial<Attributes> & { ino: Ino }): Attributes {
    const time = this.tick();
    const fresh: Attributes = {
      mode: fileType.regular | 0o644,
      nlink: 1,
      uid: 0,
      gid: 0,
      rdev: 0,
      size: 0,
      blocks: 0,
      atime: time,
      mtime: time,
      ctime: time,
      btime: time,
      hasXattrs: false,
      ...this.inodes.get(some.ino),
      ...some,
    };
    this.inodes.set(some.ino, fresh);
    return fresh;
  }
  changed(ino: Ino, changes: Partial<Attributes>): Attributes {
    const time = this.tick();
    return this.put({ ...changes, ino, ctime: time });
  }
  get(ino: Ino): Attributes {
    const found = this.inodes.get(ino);
    if (found === undefined) throw new FsError("ESTALE", `inode ${String(ino)}`);
    return found;
  }

  private async answer(method: string, request: unknown, signal?: AbortSignal): Promise<unknown> {
    this.calls.push({ method, request });
    await Promise.resolve();
    const script = this.scripts.get(method) ?? (this.defaults as Record<string, Script>)[method];
    if (script === undefined) throw new FsError("ENOSYS", method);
    let result: unknown;
    let error: Error | undefined;
    try {
      result = this.leases.grantWith(method, request, await script(request as Call["request"]));
    } catch (thrown) {
      error = thrown as Error;
    }
    const gate = this.gates.get(method);
    if (gate !== undefined) await Promise.race([gate, aborted(signal)]);
    if (error !== undefined) throw error;
    return result;
  }

  private make(parent: Ino, name: Name, mode: number): { attributes: Attributes } {
    const names = this.names(parent);
    if (names.has(name)) throw new FsError("EEXIST", name);
    const attributes = this.put({ ino: toIno(++this.last), mode, nlink: isDirectory(mode) ? 2 : 1 });
    names.set(name, attributes.ino);
    if (isDirectory(mode)) this.entries.set(attributes.ino, new Map());
    this.changed(parent, { mtime: this.now });
    return { attributes };
  }
  private names(parent: Ino): Map<Name, Ino> {
    const names = this.entries.get(parent);
    if (names === undefined) throw new FsError("ESTALE", `directory ${String(parent)}`);
    return names;
  }
  private drop(parent: Ino, name: Name, keep: boolean): { attributes: Attributes | null } {
    const ino = this.names(parent).get(name);
    if (ino === undefined) throw new FsError("ENOENT", name);
    this.names(parent).delete(name);
    this.changed(parent, { mtime: this.now });
    const { nlink, mode } = this.get(ino);
    const left = isDirectory(mode) ? 0 : nlink - 1;
    const attributes = this.changed(ino, { nlink: left });
    if (left > 0 || keep) return { attributes };
    this.inodes.delete(ino);
    return { attributes: null };
  }

  private readonly defaults = {
    lookup: ({ parent, name }: { parent: Ino; name: Name }) => {
      const ino = this.names(parent).get(name);
      return { attributes: ino === undefined ? null : this.get(ino) };
    },
    getattr: ({ ino }: { ino: Ino }) => ({ attributes: this.get(ino) }),
    open: ({ ino }: { ino: Ino }) => ({ attributes: this.get(ino) }),
    setattr: (request: Partial<Attributes> & { ino: Ino; atime?: bigint | "now"; mtime?: bigint | "now" }) => {
      const { ino, mode, uid, gid, size, atime, mtime } = request;
      const before = this.get(ino);
      const time = this.tick();
      const at = (wanted: bigint | "now" | undefined, old: bigint): bigint =>
        wanted === "now" ? time : (wanted ?? old);
      const attributes = this.changed(ino, {
        mode: mode === undefined ? before.mode : (before.mode & fileType.mask) | mode,
        uid: uid ?? before.uid,
        gid: gid ?? before.gid,
        size: size ?? before.size,
        atime: at(atime, before.atime),
        mtime: at(size === undefined ? mtime : (mtime ?? "now"), before.mtime),
      });
      return { attributes: request.ctime === undefined ? attributes : this.put({ ino, ctime: before.ctime }) };
    },
    create: (request: { parent: Ino; name: Name; mode: number }) =>
      this.make(request.parent, request.name, fileType.regular | (request.mode & 0o7777)),
    mknod: (request: { parent: Ino; name: Name; mode: number }) =>
      this.make(request.parent, request.name, request.mode),
    mkdir: (request: { parent: Ino; name: Name; mode: number }) =>
      this.make(request.parent, request.name, fileType.directory | (request.mode & 0o7777)),
    symlink: (request: { parent: Ino; name: Name }) =>
      this.make(request.parent, request.name, fileType.symlink | 0o777),
    tmpfile: ({ mode }: { mode: number }) => ({
      attributes: this.put({ ino: toIno(++this.last), mode: fileType.regular | mode, nlink: 0 }),
    }),
    link: ({ ino, newParent, newName }: { ino: Ino; newParent: Ino; newName: Name }) => {
      this.names(newParent).set(newName, ino);
      return { attributes: this.changed(ino, { nlink: this.get(ino).nlink + 1 }) };
    },
    unlink: (request: { parent: Ino; name: Name; keep: boolean }) =>
      this.drop(request.parent, request.name, request.keep),
    rmdir: (request: { parent: Ino; name: Name; keep: boolean }) =>
      this.drop(request.parent, request.name, request.keep),
    rename: (request: { parent: Ino; name: Name; newParent: Ino; newName: Name; keep: boolean }) => {
      const ino = this.names(request.parent).get(request.name);
      if (ino === undefined) throw new FsError("ENOENT", request.name);
      const target = this.names(request.newParent).has(request.newName);
      const replaced = target ? this.drop(request.newParent, request.newName, request.keep).attributes : null;
      this.names(request.parent).delete(request.name);
      this.names(request.newParent).set(request.newName, ino);
      return { attributes: this.changed(ino, {}), replaced };
    },
    readdir: ({ ino, cookie, plus }: { ino: Ino; cookie: number; plus: boolean }) => {
      const all = [...this.names(ino)].map(([name, child]) => {
        const attributes = this.get(child);
        const entry = { name, ino: child, type: attributes.mode & fileType.mask, cookie: 100 + child };
        return plus ? { ...entry, attributes } : entry;
      });
      all.sort((one, other) => one.cookie - other.cookie);
      const entries = all.filter((entry) => entry.cookie > cookie).slice(0, 4);
      return { parent: rootIno, entries, end: entries.at(-1) === all.at(-1) };
    },
    readlink: () => ({ target: Buffer.from("target") }),
    releaseOrphans: () => ({}),
    getLock: () => ({ lock: null }),
    setLock: () => ({}),
    releaseLocks: () => ({}),
    statfs: () => ({ bytesTotal: 8_192_000, bytesFree: 4_096_000, files: 10, filesFree: 90 }),
    getxattr: ({ ino, name }: { ino: Ino; name: Name }) => {
      const value = this.xattrs.get(ino)?.get(name);
      if (value === undefined) throw new FsError("ENODATA", name);
      return { value };
    },
    listxattr: ({ ino }: { ino: Ino }) => ({ names: [...(this.xattrs.get(ino)?.keys() ?? [])] }),
    setxattr: ({ ino, name, value }: { ino: Ino; name: Name; value: Buffer }) => {
      const mine = this.xattrs.get(ino) ?? new Map<Name, Buffer>();
      this.xattrs.set(ino, mine.set(name, value));
      return { attributes: this.changed(ino, { hasXattrs: true }) };
    },
    removexattr: ({ ino, name }: { ino: Ino; name: Name }) => {
      this.xattrs.get(ino)?.delete(name);
      return { attributes: this.changed(ino, { hasXattrs: (this.xattrs.get(ino)?.size ?? 0) > 0 }) };
    },
    fallocate: ({ ino, offset, length }: { ino: Ino; offset: number; length: number }) => ({
      attributes: this.changed(ino, { size: Math.max(this.get(ino).size, offset + length) }),
    }),
    copyFileRange: ({ to, toOffset, length }: { to: Ino; toOffset: number; length: number }) => ({
      attributes: this.changed(to, { size: Math.max(this.get(to).size, toOffset + length) }),
      copied: length,
    }),
  };
}

function aborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal?.aborted === true) reject(signal.reason as Error);
    signal?.addEventListener("abort", () => {
      reject(signal.reason as Error);
    });
  });
}
