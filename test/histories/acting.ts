/** The system calls of each operation. Files are used through a descriptor that stays open, or opened for this one. */
import {
  closeSync,
  fstatSync,
  fsyncSync,
  linkSync,
  lstatSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import type { Random } from "../../src/base/random.ts";
import type { Action, Result } from "./history.ts";
import {
  linkedInodes,
  recordLine,
  recordsIn,
  registers,
  valueBytes,
  valueIn,
  type RegisterPlace,
} from "./shared-folder.ts";

const done: Result = { type: "done" };
/** Read by one call: more than a log ever holds, and no more than one request of the kernel. */
const logBytesMax = 1 << 18;
const openFilesMax = 32;

export class Acting {
  private readonly folder: string;
  private readonly random: Random;
  private readonly isSynced: boolean;
  private readonly kept = new Map<string, number>();
  private readonly buffer = Buffer.alloc(logBytesMax);

  /** @param options.synced a change counts as done when it is durable: a client that loses its session may lose others */
  constructor(folder: string, random: Random, options: { synced: boolean }) {
    this.folder = folder;
    this.random = random;
    this.isSynced = options.synced;
  }

  /** Of the files to which `link` gives names. */
  linkedInodes(): number[] {
    return linkedInodes.map((file) => lstatSync(this.path(file)).ino);
  }

  act(action: Action): Result {
    try {
      return this.call(action);
    } catch (error) {
      const errno = (error as NodeJS.ErrnoException).code;
      if (errno === undefined) throw error;
      // What was open when a session was lost fails until it has been closed.
      if (!isRefusal(errno)) this.closeAll();
      return isRefusal(errno) ? { type: "refused", errno } : { type: "failed", errno };
    }
  }

  private call(action: Action): Result {
    switch (action.type) {
      case "write": {
        const place = placeOf(action.file);
        this.withFile(action.file, "r+", (fd) => {
          whole(writeSync(fd, valueBytes(action.value, place), 0, place.bytes, place.offset), place.bytes);
          this.sync(fd);
        });
        return done;
      }
      case "read": {
        const place = placeOf(action.file);
        const count = this.withFile(action.file, "r+", (fd) => readSync(fd, this.buffer, 0, place.bytes, place.offset));
        return { type: "value", value: valueIn(this.buffer.subarray(0, count), place) };
      }
      case "append":
        this.withFile(action.log, "a+", (fd) => {
          const line = recordLine(action.record);
          whole(writeSync(fd, line), line.length);
          this.sync(fd);
        });
        return done;
      case "readLog": {
        const count = this.withFile(action.log, "a+", (fd) => readSync(fd, this.buffer, 0, logBytesMax, 0));
        whole(Math.min(count, logBytesMax - 1), count);
        return { type: "records", records: recordsIn(this.buffer.subarray(0, count)) };
      }
      case "create": {
        const fd = openSync(this.path(action.directory, action.name), "wx");
        const inode = inodeAndClose(fd);
        this.syncNames(action.directory);
        return { type: "inode", inode };
      }
      case "lookup":
        return { type: "inode", inode: this.lookup(this.path(action.directory, action.name)) };
      case "unlink":
        unlinkSync(this.path(action.directory, action.name));
        this.syncNames(action.directory);
        return done;
      case "link": {
        const file = linkedInodes.find((name) => lstatSync(this.path(name)).ino === action.inode) ?? "";
        linkSync(this.path(file), this.path(action.directory, action.name));
        this.syncNames(action.directory);
        return done;
      }
      case "rename":
        renameSync(this.path(action.directory, action.from), this.path(action.directory, action.to));
        this.syncNames(action.directory);
        return done;
      case "list":
        return { type: "names", names: readdirSync(this.path(action.directory)) };
      case "listed":
        throw new Error("a part of a listing is not a system call");
    }
  }

  private lookup(path: string): number {
    return this.random.below(2) === 0 ? lstatSync(path).ino : inodeAndClose(openSync(path, "r"));
  }

  private sync(fd: number): void {
    if (this.isSynced) fsyncSync(fd);
  }
  private syncNames(directory: string): void {
    if (!this.isSynced) return;
    const fd = openSync(this.path(directory), "r");
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  }

  private withFile<T>(file: string, flags: string, use: (fd: number) => T): T {
    if (this.random.below(2) === 0) {
      let fd = this.kept.get(file);
      if (fd === undefined) {
        fd = openSync(this.path(file), flags);
        this.kept.set(file, fd);
        this.closeOldest();
      }
      return use(fd);
    }
    const fd = openSync(this.path(file), flags);
    try {
      return use(fd);
    } finally {
      closeSync(fd);
    }
  }

  private closeOldest(): void {
    const [oldest] = this.kept;
    if (oldest === undefined || this.kept.size <= openFilesMax) return;
    this.kept.delete(oldest[0]);
    closeSync(oldest[1]);
  }

  private closeAll(): void {
    for (const fd of this.kept.values()) {
      try {
        closeSync(fd);
      } catch {
        // It is closed all the same: what was lost with it has been told.
      }
    }
    this.kept.clear();
  }

  private path(...parts: string[]): string {
    return join(this.folder, ...parts);
  }
}

function isRefusal(errno: string): errno is "ENOENT" | "EEXIST" {
  return errno === "ENOENT" || errno === "EEXIST";
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

function inodeAndClose(fd: number): number {
  try {
    return fstatSync(fd).ino;
  } finally {
    closeSync(fd);
  }
}
