/**
 * A look at LMDB's file before it is mapped: a file that is shorter than its own header says would end the process with
 * SIGBUS at some later read, at every start again; one without a header ends it at once (the package's error path).
 *
 * Layout of the two meta pages (mdb.c of the `lmdb` package: MDB_page header of 24 bytes, then MDB_meta): magic:4 version:4 address:8
 * map size:8 two MDB_db of 48 bytes last page:8 transaction:8. The page size is the first field of the first MDB_db.
 */
import { closeSync, existsSync, fstatSync, openSync, readSync } from "node:fs";
import { FsError } from "../base/errno.ts";

const pageHeaderBytes = 24;
const magic = 0xbeefc0de;
const version = 2;
const pageSizes = [4096, 8192, 16384, 32768, 65536];

interface Meta {
  readonly pageBytes: number;
  readonly lastPage: bigint;
  readonly transaction: bigint;
}

/** Throws EIO unless the file is absent, empty, or as long as the meta page of its newest transaction says. */
export function assertWholeFile(path: string): void {
  if (!existsSync(path)) return;
  const fd = openSync(path, "r");
  try {
    const { size } = fstatSync(fd);
    if (size === 0) return;
    const first = readMeta(fd, 0);
    const second = readMeta(fd, first.pageBytes);
    const newest = second.transaction > first.transaction ? second : first;
    const needed = Number(newest.lastPage + 1n) * first.pageBytes;
    if (size < needed) throw new FsError("EIO", `${path} is cut off: ${String(size)} of ${String(needed)} bytes`);
  } finally {
    closeSync(fd);
  }
}

function readMeta(fd: number, at: number): Meta {
  const meta = Buffer.alloc(136);
  readSync(fd, meta, 0, meta.length, at + pageHeaderBytes);
  const pageBytes = meta.readUInt32LE(24);
  if (meta.readUInt32LE(0) !== magic || meta.readUInt32LE(4) !== version || !pageSizes.includes(pageBytes)) {
    throw new FsError("EIO", "the file is not LMDB's, or its header is damaged");
  }
  return {
    pageBytes,
    lastPage: meta.readBigUInt64LE(120),
    transaction: meta.readBigUInt64LE(128),
  };
}
