/**
 * The index backend on a real disk: LMDB in the folder `index`. A commit is one transaction, synced before it resolves.
 *
 * LMDB believes its pages: a damaged file may crash the process instead of giving an error. So a marker file stands
 * beside the folder while everything is read once and checked; whoever finds the marker at its start knows that the last attempt
 * did not survive, and refuses, so that the index is discarded and built again from the segments.
 */
import { join } from "node:path";
import { open as openLmdb, type RootDatabase } from "lmdb";
import type { Disk } from "../base/disk.ts";
import { errnoOf, FsError } from "../base/errno.ts";
import { leaveFileSum, takeFileSum } from "../base/file-sum.ts";
import type { IndexBackend, IndexBackendFactory } from "./index-backend.ts";
import { IndexRoom } from "./index-room.ts";

const folder = "index";
const file = `${folder}/data.mdb`;
const sum = { path: file, sumPath: "index.sum", folder: "" };
const marker = "index.doubtful";
/** `MDB_meta` of lmdb's mdb.c, behind a page header of 24 bytes. */
const lmdbMagic = 0xbeefc0de;
const lmdbMagicAt = 24;
const lmdbPageBytes = 4096;
/** Address space, not memory: room for some hundred million blocks. */
const mapBytes = 32 * 1024 ** 3;

export function lmdbBackend(disk: Disk): IndexBackendFactory {
  return {
    async open(check) {
      if (await disk.exists(marker))
        throw new FsError("EIO", "the index was damaged or could not be opened the last time");
      await takeFileSum(disk, sum);
      await checkFile(disk);
      await (await disk.open(marker, "create")).close();
      const backend = await openBackend(disk, check);
      await disk.remove(marker);
      return backend;
    },
    async distrust() {
      if (!(await disk.exists(marker))) await (await disk.open(marker, "create")).close();
      await disk.syncFolder("");
    },
    async discard() {
      for (const path of await namesIn(disk)) await disk.remove(path);
      for (const path of [sum.sumPath, marker]) if (await disk.exists(path)) await disk.remove(path);
      await disk.syncFolder("");
    },
  };
}

/** Rejects when the file is there and does not begin as LMDB's files do: with two pages that hold a magic number. */
async function checkFile(disk: Disk): Promise<void> {
  if (!(await namesIn(disk)).includes(file)) return;
  const opened = await disk.open(file, "open");
  try {
    const pages = Buffer.alloc(2 * lmdbPageBytes);
    await opened.read(pages, 0);
    const isLmdb = [0, lmdbPageBytes].every((page) => pages.readUInt32LE(page + lmdbMagicAt) === lmdbMagic);
    if (!isLmdb) throw new FsError("EIO", `${disk.root}/${file} is no LMDB file`);
  } finally {
    await opened.close();
  }
}

async function namesIn(disk: Disk): Promise<string[]> {
  try {
    return (await disk.list(folder)).map((name) => `${folder}/${name}`);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw error;
  }
}

async function openBackend(disk: Disk, check: (opened: IndexBackend) => void): Promise<IndexBackend> {
  const room = new IndexRoom(disk, file);
  const db = openLmdb<Buffer, Buffer>(join(disk.root, folder), {
    noSubdir: false,
    encoding: "binary",
    keyEncoding: "binary",
    mapSize: mapBytes,
    overlappingSync: false,
    pageSize: lmdbPageBytes,
    cache: false,
  });
  const keepRoom = (): Promise<void> => room.keep(usedBytes(db));
  const backend: IndexBackend = {
    get(key) {
      const value = db.getBinaryFast(key);
      // LMDB gives one large buffer with another `length`: only a view of it can be compared.
      return value?.subarray(0, value.length);
    },
    *range(gte, lt) {
      for (const { key, value } of db.getRange({ start: gte, end: lt })) yield [key, value] as const;
    },
    async commit(changes) {
      try {
        await db.batch(() => {
          for (const [key, value] of changes) void (value === null ? db.remove(key) : db.put(key, value));
        });
      } catch (cause) {
        throw new FsError("EIO", "the block index could not be written", { cause });
      }
      db.resetReadTxn();
      await keepRoom();
    },
    async close() {
      let bytes = 0;
      try {
        bytes = usedBytes(db);
      } catch {
        // It is damaged: nothing may vouch for it.
      }
      await db.close();
      if (bytes > 0) await leaveFileSum(disk, sum, bytes);
    },
  };
  try {
    await useFreePages(backend);
    check(backend);
    await keepRoom();
  } catch (error) {
    await db.close();
    throw error;
  }
  return backend;
}

/** Nothing changes, but LMDB reads its list of free pages, and dies of one that is damaged: now, and not at every start. */
async function useFreePages(backend: IndexBackend): Promise<void> {
  const [any] = backend.range(Buffer.alloc(1, 0), Buffer.alloc(1, 0xff));
  if (any !== undefined) await backend.commit([any]);
}

/** Where LMDB's last page ends (not in the package's types). */
function usedBytes(db: RootDatabase<Buffer, Buffer>): number {
  const { lastPageNumber } = db.getStats() as { lastPageNumber: number };
  return (lastPageNumber + 1) * lmdbPageBytes;
}
