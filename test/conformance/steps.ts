/** Steps that many conformance cases share: making files, looking at them, waiting a moment. */
import { readFileSync } from "node:fs";
import { holds } from "./case.ts";
import type { Path } from "./libc/calls.ts";
import { O } from "./libc/constants.ts";
import { Directory } from "./libc/directory.ts";
import type { Stat } from "./libc/structures.ts";
import { sys } from "./libc/sys.ts";
import type { Peer } from "./peer.ts";

/** Users without privileges, each in the group of the same number. */
export const nobody = { uid: 65_534 };
export const alice = { uid: 1001 };
export const bob = { uid: 1002 };

/** Makes or replaces the content of a file. */
export function file(path: Path, content: Path = "", mode = 0o644): void {
  const fd = sys.open(path, O.CREAT | O.TRUNC | O.WRONLY, mode);
  try {
    for (let bytes = Buffer.from(content); bytes.length > 0;) bytes = bytes.subarray(sys.write(fd, bytes));
  } finally {
    sys.close(fd);
  }
}

/** A file with exactly this mode, whatever the umask, and this owner. */
export function ownedFile(path: Path, uid: number, mode = 0o644, gid = uid): void {
  file(path);
  sys.chown(path, uid, gid);
  sys.chmod(path, mode);
}

/** A directory with exactly this mode and this owner. */
export function ownedDirectory(path: Path, uid: number, mode = 0o755, gid = uid): void {
  sys.mkdir(path);
  sys.chown(path, uid, gid);
  sys.chmod(path, mode);
}

export function opened<T>(path: Path, flags: number, run: (fd: number) => T, mode = 0o666): T {
  const fd = sys.open(path, flags, mode);
  try {
    return run(fd);
  } finally {
    sys.close(fd);
  }
}

/** Opens and closes. */
export function touchOpen(path: Path, flags: number, mode = 0o666): void {
  sys.close(sys.open(path, flags, mode));
}

export function contentOf(path: Path): string {
  return opened(path, O.RDONLY, (fd) => {
    const parts: Buffer[] = [];
    for (;;) {
      const part = sys.read(fd, 1 << 20);
      if (part.length === 0) return Buffer.concat(parts).toString("latin1");
      parts.push(part);
    }
  });
}

/** The 12 bits of permission. */
export function modeOf(path: Path): number {
  return sys.lstat(path).mode & 0o7777;
}

/** Names in a directory, sorted, without "." and "..". */
export function namesIn(path: Path): string[] {
  const directory = new Directory(path);
  const names = directory.readAll().map((entry) => entry.name);
  directory.close();
  return names.filter((name) => name !== "." && name !== "..").sort();
}

export function pause(millis = 15): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, millis);
}

/** Which times of the inode `act` moved forward, after a moment in which nothing happened: "mtime ctime". */
export function moved(look: Path | (() => Stat), act: () => void): string {
  const see = typeof look === "function" ? look : () => sys.lstat(look);
  const before = see();
  pause();
  act();
  const after = see();
  const times = ["atime", "mtime", "ctime"] as const;
  for (const time of times) holds(after[time] >= before[time], `${time} went back`);
  return times.filter((time) => after[time] > before[time]).join(" ");
}

function systemCallOf(peer: Peer): string {
  return readFileSync(`/proc/${String(peer.pid)}/syscall`, "latin1").split(" ")[0] ?? "";
}

/** Returns when the other process has been waiting in one system call for a moment; the call must block. */
export function waitsInCall(peer: Peer, start: () => void): void {
  const idle = systemCallOf(peer);
  holds(idle !== "running", "the other process waits for its command");
  start();
  for (let tries = 0; tries < 400; tries++) {
    pause(5);
    const first = systemCallOf(peer);
    if (first === idle || first === "running") continue;
    pause(40);
    if (systemCallOf(peer) === first) return;
  }
  throw new Error("the call of the other process did not block");
}
