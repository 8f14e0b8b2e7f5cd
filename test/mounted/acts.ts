/**
 * What an acting process (actor.ts) can do: the system calls of `sys` by name, and sequences of them that must not wait
 * for another process in between. They run in the child only. Descriptors, mappings and open listings stay with it, under
 * numbers.
 */
import { existsSync } from "node:fs";
import { libc, SysError, type Path } from "../conformance/libc/calls.ts";
import { Directory } from "../conformance/libc/directory.ts";
import { Mapping } from "../conformance/libc/mapping.ts";
import { sys } from "../conformance/libc/sys.ts";
import { contests } from "./contests.ts";
import { now, readWhole, writeWhole } from "./whole-files.ts";

const siginterrupt = libc.func("int siginterrupt(int signal, int flag)");
const prctl = libc.func("int prctl(int option, unsigned long argument)");
const PR_SET_PDEATHSIG = 1;
const SIGKILL = 9;
const SIGUSR2 = 12;

const mappings = new Map<number, Mapping>();
const listings = new Map<number, Directory>();
let lastNumber = 0;

/** Also when the test's process is killed and so cannot end its children. */
export function diesWithParent(): void {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
}

export const acts = {
  ...sys,
  ...contests,
  readWhole,
  writeWhole,

  /** Does a call at a moment (of CLOCK_MONOTONIC, see `now`), to the microsecond: so several processes collide. */
  at: (moment: bigint, name: keyof typeof sys, ...args: unknown[]): unknown => {
    while (process.hrtime.bigint() < moment);
    return (sys[name] as (...all: unknown[]) => unknown)(...args);
  },
  now,

  map: (fd: number, length: number, options: { writable: boolean }): number => {
    lastNumber++;
    mappings.set(lastNumber, new Mapping(fd, length, { shared: true, writable: options.writable }));
    return lastNumber;
  },
  /** What the mapping shows, by loads from memory. A copy. */
  load: (mapping: number, length: number, offset: number): Buffer =>
    Buffer.from(known(mappings, mapping).bytes.subarray(offset, offset + length)),
  /** By stores to memory, written at msync. */
  store: (mapping: number, bytes: Buffer, offset: number): void => {
    bytes.copy(known(mappings, mapping).bytes, offset);
    known(mappings, mapping).sync();
  },
  unmap: (mapping: number): void => {
    known(mappings, mapping).unmap();
    mappings.delete(mapping);
  },

  /** Without . and .., sorted. */
  list: (path: Path): string[] => {
    const directory = new Directory(path);
    try {
      return namesIn(directory);
    } finally {
      directory.close();
    }
  },
  openListing: (path: Path): number => {
    lastNumber++;
    listings.set(lastNumber, new Directory(path));
    return lastNumber;
  },
  /** The same open directory from its start. */
  listAgain: (listing: number): string[] => {
    known(listings, listing).rewind();
    return namesIn(known(listings, listing));
  },
  closeListing: (listing: number): void => {
    known(listings, listing).close();
    listings.delete(listing);
  },

  /** As another user, who has no group but his own. */
  accessAs: (uid: number, path: Path, mode: number): void => sys.as({ uid }, () => sys.access(path, mode)),

  /**
   * `ls -l` and now and then `cat`, over and over until `stop` (a local file) is there: so that what changes meanwhile gets
   * into this machine's caches at any moment. Returns how often.
   */
  lookAround: (folder: string, stop: string): number => {
    let times = 0;
    for (; !existsSync(stop); times++) {
      for (const name of acts.list(folder)) lookAt(`${folder}/${name}`, times % 4 === 0);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
    return times;
  },

  /** From now on SIGUSR2 ends a system call that waits with EINTR. */
  catchSignal: (): void => {
    process.on("SIGUSR2", () => undefined);
    if (siginterrupt(SIGUSR2, 1) !== 0) throw new Error("siginterrupt failed");
  },
};

function known<T>(all: Map<number, T>, number: number): T {
  const one = all.get(number);
  if (one === undefined) throw new Error(`there is no ${String(number)}`);
  return one;
}

function namesIn(directory: Directory): string[] {
  return directory
    .readAll()
    .map(({ name }) => name)
    .filter((name) => name !== "." && name !== "..")
    .sort();
}

/** What goes away meanwhile is no error. */
function lookAt(path: string, isRead: boolean): void {
  try {
    const { mode } = sys.lstat(path);
    if (isRead && (mode & 0o170000) === 0o100000) readWhole(path);
    if ((mode & 0o170000) === 0o120000) sys.readlink(path);
  } catch (error) {
    if (!(error instanceof SysError) || !["ENOENT", "EINVAL", "ESTALE"].includes(error.errno)) throw error;
  }
}
