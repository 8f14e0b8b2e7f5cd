/**
 * The part of the kernel that stands between system calls and `Operations`, small: walks paths by lookups, makes the
 * checks that the kernel makes before it asks, keeps open files, and forgets inodes now and then. No caches.
 */
import { isDirectory, isSymlink, type Attributes } from "../../src/base/attributes.ts";
import { FsError } from "../../src/base/errno.ts";
import { rootIno, type Handle, type Ino } from "../../src/base/ids.ts";
import type { Name } from "../../src/base/name.ts";
import type { Random } from "../../src/base/random.ts";
import type { DirectoryEntry, Entry, Operations } from "../../src/fuse/operations.ts";
import { from, name } from "./mount.ts";

export const open = { write: 1, readWrite: 2, create: 0o100, exclusive: 0o200, truncate: 0o1000, append: 0o2000 };

interface OpenFile {
  readonly ino: Ino;
  readonly handle: Handle;
  readonly flags: number;
}

export class PathClient {
  readonly operations: Operations;
  private readonly random: Random;
  private readonly lookups = new Map<Ino, number>();
  private readonly files = new Map<number, OpenFile>();

  constructor(operations: Operations, random: Random) {
    this.operations = operations;
    this.random = random;
  }

  async stat(path: string): Promise<Attributes> {
    const { ino } = await this.walk(path);
    const { attributes } = await this.operations.getattr(from(), ino, undefined);
    return attributes;
  }

  async open(fd: number, path: string, flags: number, mode = 0o644): Promise<void> {
    const { parent, last } = await this.parentOf(path);
    const found = await this.find(parent, last);
    if (found === undefined) {
      if ((flags & open.create) === 0) throw new FsError("ENOENT", path);
      const { entry, opened } = await this.operations.create(from(), parent, last, { mode, umask: 0 }, flags);
      this.count(entry);
      this.files.set(fd, { ino: entry.attributes.ino, handle: opened.handle, flags });
      return;
    }
    if ((flags & open.create) !== 0 && (flags & open.exclusive) !== 0) throw new FsError("EEXIST", path);
    if (isSymlink(found.mode)) throw new FsError("ELOOP", path);
    if (isDirectory(found.mode)) throw new FsError("EISDIR", path);
    const opened = await this.operations.open(from(), found.ino, flags & ~(open.create | open.exclusive), false);
    this.files.set(fd, { ino: found.ino, handle: opened.handle, flags });
  }

  async close(fd: number): Promise<void> {
    const { ino, handle } = this.file(fd);
    this.files.delete(fd);
    try {
      await this.operations.flush(from(), ino, handle, 1n);
    } finally {
      await this.operations.release(from(), ino, handle, undefined);
    }
  }

  async read(fd: number, offset: number, length: number): Promise<Buffer> {
    const { ino, handle } = this.file(fd);
    const result = await this.operations.read(from(), ino, handle, offset, length, false);
    const copy = Buffer.concat(result.pieces);
    result.release?.();
    return copy;
  }

  async write(fd: number, offset: number, content: Buffer): Promise<number> {
    const { ino, handle, flags } = this.file(fd);
    const options = { flags, fromPageCache: false, killPrivileges: false };
    return this.operations.write(from(), ino, handle, offset, content, options);
  }

  async fsync(fd: number): Promise<void> {
    const { ino, handle } = this.file(fd);
    await this.operations.fsync(from(), ino, handle, false);
  }

  /** Everything that was done through this client. */
  async syncAll(): Promise<void> {
    await this.operations.syncfs(from(), rootIno);
  }

  /** flock(2) of the whole file, for an owner that is one open file's. */
  async flock(fd: number, type: "write" | "unlock", owner: bigint): Promise<void> {
    const { ino, handle } = this.file(fd);
    const lock = { kind: "flock", type, start: 0n, end: 2n ** 63n - 1n, owner, pid: 1 } as const;
    await this.operations.setlk(from(), ino, handle, lock, type !== "unlock");
  }

  async fstat(fd: number): Promise<Attributes> {
    const { ino, handle } = this.file(fd);
    return (await this.operations.getattr(from(), ino, handle)).attributes;
  }

  async ftruncate(fd: number, size: number): Promise<void> {
    const { ino, handle } = this.file(fd);
    await this.operations.setattr(from(), ino, handle, { size });
  }

  async truncate(path: string, size: number): Promise<void> {
    const { ino, mode } = await this.walk(path);
    if (isDirectory(mode)) throw new FsError("EISDIR", path);
    await this.operations.setattr(from(), ino, undefined, { size });
  }

  async chmod(path: string, mode: number): Promise<void> {
    await this.operations.setattr(from(), (await this.walk(path)).ino, undefined, { mode });
  }

  async utimes(path: string, atimeSeconds: number, mtimeSeconds: number): Promise<void> {
    const { ino } = await this.walk(path);
    const changes = { atime: BigInt(atimeSeconds) * 1_000_000_000n, mtime: BigInt(mtimeSeconds) * 1_000_000_000n };
    await this.operations.setattr(from(), ino, undefined, changes);
  }

  async mkdir(path: string, mode: number): Promise<void> {
    const { parent, last } = await this.absentTarget(path);
    this.count(await this.operations.mkdir(from(), parent, last, { mode, umask: 0 }));
  }

  async symlink(path: string, target: string): Promise<void> {
    const { parent, last } = await this.absentTarget(path);
    this.count(await this.operations.symlink(from(), parent, last, Buffer.from(target)));
  }

  async readlink(path: string): Promise<string> {
    const { ino, mode } = await this.walk(path);
    if (!isSymlink(mode)) throw new FsError("EINVAL", path);
    return (await this.operations.readlink(from(), ino)).toString();
  }

  async link(path: string, newPath: string): Promise<void> {
    const { ino, mode } = await this.walk(path);
    const { parent, last } = await this.parentOf(newPath);
    if ((await this.find(parent, last)) !== undefined) throw new FsError("EEXIST", newPath);
    if (isDirectory(mode)) throw new FsError("EPERM", path);
    this.count(await this.operations.link(from(), ino, parent, last));
  }

  async unlink(path: string): Promise<void> {
    const { parent, last } = await this.parentOf(path);
    if ((await this.find(parent, last)) === undefined) throw new FsError("ENOENT", path);
    await this.operations.unlink(from(), parent, last);
  }

  async rmdir(path: string): Promise<void> {
    const { parent, last } = await this.parentOf(path);
    if ((await this.find(parent, last)) === undefined) throw new FsError("ENOENT", path);
    await this.operations.rmdir(from(), parent, last);
  }

  async rename(path: string, newPath: string): Promise<void> {
    const source = await this.parentOf(path);
    const target = await this.parentOf(newPath);
    const moved = await this.find(source.parent, source.last);
    if (moved === undefined) throw new FsError("ENOENT", path);
    if (newPath.startsWith(`${path}/`)) throw new FsError("EINVAL", newPath);
    const replaced = await this.find(target.parent, target.last);
    if (path.startsWith(`${newPath}/`)) throw new FsError("ENOTEMPTY", newPath);
    if (replaced?.ino === moved.ino) return;
    await this.operations.rename(from(), source.parent, source.last, target.parent, target.last, 0);
  }

  /** Names in order, read in pieces of random size, with or without attributes. */
  async readdir(path: string): Promise<string[]> {
    const { ino, mode } = await this.walk(path);
    if (isSymlink(mode)) throw new FsError("ENOENT", path);
    if (!isDirectory(mode)) throw new FsError("ENOTDIR", path);
    const { handle } = await this.operations.opendir(from(), ino, 0);
    const names: string[] = [];
    try {
      for (let cookie = 0; ;) {
        const atMost = 1 + this.random.below(6);
        const got: DirectoryEntry[] = [];
        const plus = this.random.below(2) === 0;
        await this.operations.readdir(from(), ino, handle, cookie, plus, (entry) => {
          if (got.length === atMost) return false;
          got.push(entry);
          if (entry.entry !== undefined) this.count(entry.entry);
          return true;
        });
        if (got.length === 0) break;
        names.push(...got.map((entry) => entry.name));
        cookie = got.at(-1)?.cookie ?? cookie;
      }
    } finally {
      await this.operations.releasedir(from(), ino, handle);
    }
    return names.filter((one) => one !== "." && one !== "..").sort();
  }

  /** As under memory pressure: what is not open is forgotten. */
  forgetAll(): void {
    const inUse = new Set([...this.files.values()].map((file) => file.ino));
    for (const [ino, lookups] of this.lookups) {
      if (inUse.has(ino)) continue;
      this.lookups.delete(ino);
      this.operations.forget(ino, lookups);
    }
  }

  private file(fd: number): OpenFile {
    const file = this.files.get(fd);
    if (file === undefined) throw new FsError("EBADF", String(fd));
    return file;
  }

  private async walk(path: string): Promise<{ ino: Ino; mode: number }> {
    let at = { ino: rootIno, mode: 0o040755 };
    for (const part of path.split("/").filter((one) => one !== "")) {
      if (isSymlink(at.mode)) throw new FsError("ENOENT", path);
      if (!isDirectory(at.mode)) throw new FsError("ENOTDIR", path);
      const found = await this.find(at.ino, name(part));
      if (found === undefined) throw new FsError("ENOENT", path);
      at = found;
    }
    return at;
  }

  private async parentOf(path: string): Promise<{ parent: Ino; last: Name }> {
    const at = path.lastIndexOf("/");
    const parent = await this.walk(path.slice(0, at));
    if (isSymlink(parent.mode)) throw new FsError("ENOENT", path);
    if (!isDirectory(parent.mode)) throw new FsError("ENOTDIR", path);
    return { parent: parent.ino, last: name(path.slice(at + 1)) };
  }

  private async absentTarget(path: string): Promise<{ parent: Ino; last: Name }> {
    const target = await this.parentOf(path);
    if ((await this.find(target.parent, target.last)) !== undefined) throw new FsError("EEXIST", path);
    return target;
  }

  private async find(parent: Ino, last: Name): Promise<{ ino: Ino; mode: number } | undefined> {
    const entry = await this.operations.lookup(from(), parent, last);
    if ("absent" in entry) return undefined;
    this.count(entry);
    return { ino: entry.attributes.ino, mode: entry.attributes.mode };
  }

  private count(entry: Entry): void {
    const { ino } = entry.attributes;
    this.lookups.set(ino, (this.lookups.get(ino) ?? 0) + 1);
  }
}
