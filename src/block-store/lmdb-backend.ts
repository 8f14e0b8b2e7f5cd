/**
 * The index backend on a real disk: LMDB in the folder `index`. A commit is one transaction, synced before it resolves.
 *
 * LMDB believes its pages: a damaged file may crash the process instead of giving an error. So a marker file stands
 * beside the folder while every page is visited once; whoever finds the marker at its start knows that the last attempt
 * did not survive, and refuses, so that the index is discarded and built again from the segments.
 */
import { join } from "node:path";
import { open as openLmdb, type RootDatabase } from "lmdb";
import type { Disk } from "../base/disk.ts";
import { errnoOf, FsError } from "../base/errno.ts";
import type { IndexBackend, IndexBackendFactory } from "./index-backend.ts";
import { IndexRoom } from "./index-room.ts";

const folder = "index";
const marker = "index.doubtful";
/** `MDB_meta` of lmdb's mdb.c, behind a page header of 24 bytes. */
const lmdbMagic = 0xbeefc0de;
const lmdbMagicAt = 24;
const lmdbPageBytes = 4096;
/** Address space, not memory: room for some hundred million blocks. */
const mapBytes = 32 * 1024 ** 3;

export function lmdbBackend(disk: Disk): IndexBackendFactory {
  return {
    async open() {
      if (await disk.exists(marker))
        throw new FsError("EIO", "the index was damaged or could not be opened the last time");
      await checkFile(disk);
      await (await disk.open(marker, "create")).close();
      const backend = await openBackend(join(disk.root, folder), new IndexRoom(disk, `${folder}/data.mdb`));
      await disk.remove(marker);
      return backend;
    },
    async distrust() {
      if (!(await disk.exists(marker))) await (await disk.open(marker, "create")).close();
      await disk.syncFolder("");
    },
    async discard() {
      for (const path of await namesIn(disk)) await disk.remove(path);
      if (await disk.exists(marker)) await disk.remove(marker);
      await disk.syncFolder("");
    },
  };
}

/** Rejects when the file is there and does not begin as LMDB's files do: with two pages that hold a magic number. */
async function checkFile(disk: Disk): Promise<void> {
  const path = `${folder}/data.mdb`;
  if (!(await namesIn(disk)).includes(path)) return;
  const file = await disk.open(path, "open");
  try {
    const pages = Buffer.alloc(2 * lmdbPageBytes);
    await file.read(pages, 0);
    const isLmdb = [0, lmdbPageBytes].every((page) => pages.readUInt32LE(page + lmdbMagicAt) === lmdbMagic);
    if (!isLmdb) throw new FsError("EIO", `${disk.root}/${path} is no LMDB file`);
  } finally {
    await file.close();
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

async function openBackend(path: string, room: IndexRoom): Promise<IndexBackend> {
  const db = openLmdb<Buffer, Buffer>(path, {
    noSubdir: false,
    encoding: "binary",
    keyEncoding: "binary",
    mapSize: mapBytes,
    overlappingSync: false,
    pageSize: lmdbPageBytes,
    cache: false,
  });
  const keepRoom = (): Promise<void> => room.keep(usedBytes(db));
  try {
    db.getCount({ start: Buffer.alloc(1, 0), end: Buffer.alloc(1, 0xff) });
    await keepRoom();
  } catch (error) {
    await db.close();
    throw error;
  }
  return {
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
    close: () => db.close(),
  };
}

/** Where LMDB's last page ends (not in the package's types). */
function usedBytes(db: RootDatabase<Buffer, Buffer>): number {
  const { lastPageNumber } = db.getStats() as { lastPageNumber: number };
  return (lastPageNumber + 1) * lmdbPageBytes;
}
