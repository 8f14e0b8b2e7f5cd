/** The actions of a history (test/histories) as system calls of a process on a simulated client. */
import { errnoOf } from "../../src/base/errno.ts";
import type { Operations } from "../../src/fuse/operations.ts";
import type { Random } from "../../src/base/random.ts";
import type { Action, Result } from "../histories/history.ts";
import { initialValue } from "../histories/register.ts";
import {
  directories,
  linkedInodes,
  recordLine,
  recordsIn,
  registers,
  valueBytes,
  valueIn,
  type RegisterPlace,
} from "../histories/shared-folder.ts";
import { open, PathClient } from "../vfs/path-client.ts";

/** Beside what histories record. */
export type SyncAction = { readonly type: "fsync"; readonly file: string } | { readonly type: "sync" };

const done: Result = { type: "done" };
const keptMax = 3;
const lockFile = "inodes/0";

export class Acting {
  readonly client: PathClient;
  private readonly random: Random;
  /** Descriptors that stay open, by file, in the order of use. */
  private readonly kept = new Map<string, number>();
  private nextFd = 1;

  constructor(operations: Operations, random: Random) {
    this.client = new PathClient(operations, random);
    this.random = random;
  }

  async linkedInodes(): Promise<number[]> {
    const inodes: number[] = [];
    for (const file of linkedInodes) inodes.push((await this.client.stat(`/${file}`)).ino);
    return inodes;
  }

  /** Takes the lock that all want, does something under it, and gives it back. */
  async underLock(owner: bigint, use: () => Promise<void>): Promise<void> {
    const fd = this.nextFd++;
    await this.client.open(fd, `/${lockFile}`, open.readWrite);
    try {
      await this.client.flock(fd, "write", owner);
      await use();
      await this.client.flock(fd, "unlock", owner);
    } finally {
      await this.client.close(fd);
    }
  }

  async act(action: Action | SyncAction): Promise<Result> {
    try {
      return await this.call(action);
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === "ENOENT" || errno === "EEXIST") return { type: "refused", errno };
      // What was open when a session was lost fails until it has been closed.
      await this.closeAll();
      return { type: "failed", errno };
    }
  }

  /** Whether all that was written through what was open is known to be there. */
  async closeAll(): Promise<boolean> {
    const fds = [...this.kept.values()];
    this.kept.clear();
    const closed = await Promise.allSettled(fds.map((fd) => this.client.close(fd)));
    return closed.every(({ status }) => status === "fulfilled");
  }

  private async call(action: Action | SyncAction): Promise<Result> {
    const { client } = this;
    if (this.random.below(30) === 0) client.forgetAll();
    switch (action.type) {
      case "write": {
        const place = placeOf(action.file);
        await this.withFile(action.file, open.readWrite, async (fd) => {
          whole(await client.write(fd, place.offset, valueBytes(action.value, place)), place.bytes);
        });
        return done;
      }
      case "read": {
        const place = placeOf(action.file);
        const content = await this.withFile(action.file, open.readWrite, (fd) =>
          client.read(fd, place.offset, place.bytes),
        );
        return { type: "value", value: valueIn(content, place) };
      }
      case "append":
        await this.withFile(action.log, open.readWrite | open.create | open.append, async (fd) => {
          const line = recordLine(action.record);
          whole(await client.write(fd, 0, line), line.length);
        });
        return done;
      case "readLog": {
        const content = await this.withFile(action.log, open.readWrite | open.create | open.append, (fd) =>
          client.read(fd, 0, 1 << 18),
        );
        return { type: "records", records: recordsIn(content) };
      }
      case "create": {
        const fd = this.nextFd++;
        const path = `/${action.directory}/${action.name}`;
        await client.open(fd, path, open.readWrite | open.create | open.exclusive);
        const { ino } = await client.fstat(fd);
        await client.close(fd);
        return { type: "inode", inode: ino };
      }
      case "lookup":
        return { type: "inode", inode: (await client.stat(`/${action.directory}/${action.name}`)).ino };
      case "unlink":
        await client.unlink(`/${action.directory}/${action.name}`);
        return done;
      case "link": {
        for (const file of linkedInodes) {
          if ((await client.stat(`/${file}`)).ino !== action.inode) continue;
          await client.link(`/${file}`, `/${action.directory}/${action.name}`);
          return done;
        }
        throw new Error(`no file for inode ${String(action.inode)}`);
      }
      case "rename":
        await client.rename(`/${action.directory}/${action.from}`, `/${action.directory}/${action.to}`);
        return done;
      case "list":
        return { type: "names", names: await client.readdir(`/${action.directory}`) };
      case "listed":
        throw new Error("a part of a listing is not a system call");
      case "fsync":
        await this.withFile(action.file, open.readWrite, (fd) => client.fsync(fd));
        return done;
      case "sync":
        await client.syncAll();
        return done;
    }
  }

  private async withFile<T>(file: string, flags: number, use: (fd: number) => Promise<T>): Promise<T> {
    if (this.random.below(2) === 0) {
      let fd = this.kept.get(file);
      if (fd === undefined) {
        fd = this.nextFd++;
        await this.openFile(fd, `/${file}`, flags);
        this.kept.set(file, fd);
        await this.closeOldest();
      }
      return use(fd);
    }
    const fd = this.nextFd++;
    await this.openFile(fd, `/${file}`, flags);
    try {
      return await use(fd);
    } finally {
      await this.client.close(fd);
    }
  }

  /** As the kernel does: what was made by somebody else meanwhile is looked up again, and opened. */
  private async openFile(fd: number, path: string, flags: number): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        await this.client.open(fd, path, flags);
        return;
      } catch (error) {
        if (errnoOf(error) !== "ESTALE" || attempt === 10) throw error;
      }
    }
  }

  private async closeOldest(): Promise<void> {
    const [oldest] = this.kept;
    if (oldest === undefined || this.kept.size <= keptMax) return;
    this.kept.delete(oldest[0]);
    await this.client.close(oldest[1]);
  }
}

/** Before anybody begins. */
export async function prepare(operations: Operations, random: Random): Promise<void> {
  const client = new PathClient(operations, random);
  for (const place of registers) {
    await client.open(1, `/${place.file}`, open.readWrite | open.create | open.exclusive);
    await client.write(1, place.offset, valueBytes(initialValue, place));
    await client.close(1);
  }
  for (const directory of [...directories, "inodes"]) await client.mkdir(`/${directory}`, 0o755);
  for (const file of linkedInodes) {
    await client.open(1, `/${file}`, open.readWrite | open.create | open.exclusive);
    await client.close(1);
  }
  await client.syncAll();
}

function placeOf(file: string): RegisterPlace {
  const place = registers.find((candidate) => candidate.file === file);
  if (place === undefined) throw new Error(`there is no register ${file}`);
  return place;
}

/** A short count would be two operations. */
function whole(count: number, wanted: number): void {
  if (count !== wanted) throw new Error(`${String(count)} bytes instead of ${String(wanted)}`);
}
