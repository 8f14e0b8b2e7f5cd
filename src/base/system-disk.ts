/** `Disk` on a real folder through node:fs; short operations on the calling thread while the disk is quick (see Pace). */
import { constants, read, readSync, write, writeSync } from "node:fs";
import { access, mkdir, open, readdir, rename, rm, statfs, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { systemClock } from "./clock.ts";
import type { Disk, DiskFile } from "./disk.ts";
import { errnoOf, FsError } from "./errno.ts";
import { Pace } from "./pace.ts";

/** Reads and durable writes up to this size count as short. */
const shortBytes = 64 * 1024;

export async function openSystemDisk(root: string): Promise<Disk> {
  const paces: Paces = { reads: new Pace(systemClock), writes: new Pace(systemClock) };
  await named(root, mkdir(root, { recursive: true, mode: 0o700 }));
  const at = (path: string): string => join(root, path);
  return {
    root,
    async open(path, mode, options) {
      const flags =
        constants.O_RDWR |
        (mode === "create" ? constants.O_CREAT | constants.O_EXCL : 0) |
        (options?.synchronous === true ? constants.O_DSYNC : 0);
      const isDirect = options?.direct === true;
      const file = await named(at(path), isDirect ? openDirect(at(path), flags) : open(at(path), flags, 0o600));
      return systemFile(at(path), file, { paces, isSynchronous: options?.synchronous === true });
    },
    list: (path) => named(at(path), readdir(at(path))),
    async makeFolder(path) {
      await named(at(path), mkdir(at(path), { recursive: true, mode: 0o700 }));
    },
    rename: (from, to) => named(at(from), rename(at(from), at(to))),
    remove: (path) => named(at(path), rm(at(path))),
    async syncFolder(path) {
      const folder = await named(at(path), open(at(path), constants.O_RDONLY | constants.O_DIRECTORY));
      try {
        await named(at(path), folder.sync());
      } finally {
        await folder.close();
      }
    },
    exists: (path) =>
      access(at(path)).then(
        () => true,
        () => false,
      ),
    async space() {
      const s = await named(root, statfs(root));
      return { freeBytes: s.bavail * s.bsize, totalBytes: s.blocks * s.bsize };
    },
  };
}

/** Not every filesystem knows O_DIRECT: they say EINVAL, some only after having created the file. */
async function openDirect(path: string, flags: number): Promise<FileHandle> {
  try {
    return await open(path, flags | constants.O_DIRECT, 0o600);
  } catch (error) {
    if (errnoOf(error) !== "EINVAL") throw error;
    return open(path, flags & ~constants.O_EXCL, 0o600);
  }
}

interface Paces {
  readonly reads: Pace;
  readonly writes: Pace;
}

function systemFile(
  path: string,
  file: FileHandle,
  { paces, isSynchronous }: { paces: Paces; isSynchronous: boolean },
): DiskFile {
  const { fd } = file;
  const readPiece = (into: Uint8Array, position: number): number | Promise<number> => {
    const isShort = into.length <= shortBytes;
    const done = isShort ? paces.reads.attempt(() => readSync(fd, into, 0, into.length, position)) : undefined;
    return done?.value ?? readAt(fd, into, position);
  };
  const writePiece = (piece: Uint8Array, position: number): number | Promise<number> => {
    const isShort = isSynchronous && piece.length <= shortBytes;
    const done = isShort ? paces.writes.attempt(() => writeSync(fd, piece, 0, piece.length, position)) : undefined;
    return done?.value ?? writeAt(fd, piece, position);
  };
  return {
    read: (into, position) =>
      naming(path, async () => {
        let done = 0;
        while (done < into.length) {
          const bytes = await readPiece(done === 0 ? into : into.subarray(done), position + done);
          if (bytes === 0) break;
          done += bytes;
        }
        return done;
      }),
    write: (pieces, position) =>
      naming(path, async () => {
        let at = position;
        let left = pieces.filter((piece) => piece.length > 0);
        while (left.length > 0) {
          const [only] = left;
          const written =
            only !== undefined && left.length === 1
              ? await writePiece(only, at)
              : (await file.writev(left, at)).bytesWritten;
          at += written;
          left = withoutFirst(left, written);
        }
      }),
    sync: () => named(path, file.datasync()),
    truncate: (bytes) => named(path, file.truncate(bytes)),
    size: async () => (await named(path, file.stat())).size,
    close: () => named(path, file.close()),
  };
}

/** By descriptor: the methods of a FileHandle take 20 us longer. */
function readAt(fd: number, into: Uint8Array, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    read(fd, into, 0, into.length, position, (error, bytesRead) => {
      if (error === null) resolve(bytesRead);
      else reject(error);
    });
  });
}

function writeAt(fd: number, piece: Uint8Array, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    write(fd, piece, 0, piece.length, position, (error, written) => {
      if (error === null) resolve(written);
      else reject(error);
    });
  });
}

function withoutFirst(pieces: readonly Uint8Array[], count: number): Uint8Array[] {
  const rest: Uint8Array[] = [];
  for (const piece of pieces) {
    if (count >= piece.length) count -= piece.length;
    else {
      rest.push(count > 0 ? piece.subarray(count) : piece);
      count = 0;
    }
  }
  return rest;
}

function named<T>(path: string, promise: Promise<T>): Promise<T> {
  return naming(path, () => promise);
}

async function naming<T>(path: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (cause) {
    throw new FsError(errnoOf(cause), path, { cause });
  }
}
