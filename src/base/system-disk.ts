/** `Disk` on a real folder through node:fs. */
import { constants, write } from "node:fs";
import { access, mkdir, open, readdir, rename, rm, statfs, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import type { Disk, DiskFile } from "./disk.ts";
import { errnoOf, FsError } from "./errno.ts";

export async function openSystemDisk(root: string): Promise<Disk> {
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
      const file = isDirect ? openDirect(at(path), flags) : open(at(path), flags, 0o600);
      return systemFile(at(path), await named(at(path), file));
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

function systemFile(path: string, file: FileHandle): DiskFile {
  return {
    async read(into, position) {
      let done = 0;
      while (done < into.length) {
        const { bytesRead } = await named(path, file.read(into, done, into.length - done, position + done));
        if (bytesRead === 0) break;
        done += bytesRead;
      }
      return done;
    },
    async write(pieces, position) {
      let left = pieces.filter((piece) => piece.length > 0);
      const [only] = left;
      if (only !== undefined && left.length === 1) {
        const done = await named(path, writeAt(file.fd, only, position));
        position += done;
        left = withoutFirst(left, done);
      }
      while (left.length > 0) {
        const { bytesWritten } = await named(path, file.writev(left, position));
        position += bytesWritten;
        left = withoutFirst(left, bytesWritten);
      }
    },
    sync: () => named(path, file.datasync()),
    truncate: (bytes) => named(path, file.truncate(bytes)),
    size: async () => (await named(path, file.stat())).size,
    close: () => named(path, file.close()),
  };
}

/** One pwrite(2) by descriptor: a FileHandle's own write takes 20 us longer, which a lone commit would feel. */
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

async function named<T>(path: string, promise: Promise<T>): Promise<T> {
  try {
    return await promise;
  } catch (cause) {
    throw new FsError(errnoOf(cause), path, { cause });
  }
}
