/**
 * What several processes do to one thing at once, each in a loop of its own: counting under a lock, appending, taking and
 * leaving. Each says what it has done, and the test compares. In children only.
 */
import { F, LOCK, O } from "../conformance/libc/constants.ts";
import { sys } from "../conformance/libc/sys.ts";
import { now, writeWhole } from "./whole-files.ts";

export type LockKind = "flock" | "fcntl" | "OFD";

/** Takes or leaves the whole file. Waits unless told otherwise. */
export function setLock(
  fd: number,
  kind: LockKind,
  type: "write" | "unlock",
  options: { wait: boolean } = { wait: true },
): void {
  const lock = { type: type === "write" ? F.WRLCK : F.UNLCK, start: 0n, length: 0n };
  switch (kind) {
    case "flock":
      sys.flock(fd, type === "write" ? LOCK.EX | (options.wait ? 0 : LOCK.NB) : LOCK.UN);
      return;
    case "fcntl":
      sys.lock(fd, options.wait ? F.SETLKW : F.SETLK, lock);
      return;
    case "OFD":
      sys.lock(fd, options.wait ? F.OFD_SETLKW : F.OFD_SETLK, lock);
      return;
  }
}

const numberBytes = 12;
const tailBytes = 8_192;

function increment(fd: number): number {
  const before = Number(sys.pread(fd, numberBytes, 0).toString("latin1") || "0");
  sys.pwrite(fd, String(before + 1).padStart(numberBytes), 0);
  return before;
}

export const contests = {
  setLock,

  /** Reads, adds one, writes, under the lock or (`kind` undefined) without any. */
  count: (path: string, options: { kind: LockKind | undefined; times: number }): void => {
    const fd = sys.open(path, O.RDWR);
    for (let i = 0; i < options.times; i++) {
      if (options.kind !== undefined) setLock(fd, options.kind, "write");
      increment(fd);
      if (options.kind !== undefined) setLock(fd, options.kind, "unlock");
    }
    sys.close(fd);
  },

  /** One write per record: "writer number xxx...\n", of different lengths. */
  appendRecords: (path: string, options: { writer: number; count: number; flags?: number }): void => {
    const fd = sys.open(path, O.WRONLY | O.CREAT | (options.flags ?? O.APPEND));
    for (let i = 0; i < options.count; i++) {
      const line = recordOf(options.writer, i);
      if (sys.write(fd, line) !== line.length) throw new Error(`record ${String(i)} was written in part`);
    }
    sys.close(fd);
  },

  /** The rest is how often each got its turn in `millis`, from `start` on. */
  createAndUnlink: (folder: string, options: { name: string; start: bigint; millis: number }): number =>
    repeat(options, (i) => {
      const path = `${folder}/${options.name}-${String(i % 10)}`;
      sys.close(sys.open(path, O.CREAT | O.EXCL | O.WRONLY));
      sys.unlink(path);
    }),
  appendAndRead: (path: string, options: { name: string; start: bigint; millis: number }): number =>
    repeat(options, (i) => {
      const line = `${options.name} ${String(i)}\n`;
      writeWhole(path, line, O.APPEND);
      // Others may have come after it, but hardly with so much.
      const fd = sys.open(path, O.RDONLY);
      const from = Math.max(0, Number(sys.fstat(fd).size) - tailBytes);
      const tail = sys.pread(fd, 2 * tailBytes, from);
      sys.close(fd);
      if (!tail.includes(line)) throw new Error(`"${line.trim()}" is not at the end of the file`);
    }),
  lockAndUnlock: (path: string, options: { kind: LockKind; start: bigint; millis: number }): number => {
    const fd = sys.open(path, O.RDWR);
    const times = repeat(options, () => {
      setLock(fd, options.kind, "write");
      increment(fd);
      setLock(fd, options.kind, "unlock");
    });
    sys.close(fd);
    return times;
  },
};

export function recordOf(writer: number, number: number): string {
  return `${String(writer)} ${String(number)} ${"x".repeat((number * 37 + writer * 11) % 300)}\n`;
}

function repeat(options: { start: bigint; millis: number }, act: (i: number) => void): number {
  while (now() < options.start);
  const end = options.start + BigInt(options.millis) * 1_000_000n;
  let times = 0;
  for (; now() < end; times++) act(times);
  return times;
}
