/** The package's calls about open files, in terms of `Operations`. */
import type { PathOperations } from "fuse-native";
import { limits } from "../../base/limits.ts";
import type { ReadResult } from "../operations.ts";
import type { CallParts } from "./calls.ts";
import { createOpenFiles } from "./open-files.ts";
import { checkOffset, toStat } from "./translate.ts";

type FileCalls = "open" | "fgetattr" | "ftruncate" | "read" | "write" | "flush" | "fsync" | "release";

/** O_CREAT, O_EXCL, O_NOCTTY, O_TRUNC: done by others before an open gets here. */
const notForOpen = 0o100 | 0o200 | 0o400 | 0o1000;

export function fileCalls({ operations, paths, held, replies }: CallParts): Pick<PathOperations, FileCalls> {
  const files = createOpenFiles();
  return {
    open(path, flags, reply) {
      replies.value("open", reply, (request) =>
        paths.at(request, path, async (located) => {
          const { ino } = located;
          const opened = await operations.open(request, ino, flags & ~notForOpen, false);
          located.keep();
          return files.add({ ino, handle: opened.handle, flags });
        }),
      );
    },
    fgetattr(_path, fd, reply) {
      replies.value("fgetattr", reply, async (request) => {
        const { ino, handle } = files.get(fd);
        return toStat((await operations.getattr(request, ino, handle)).attributes);
      });
    },
    ftruncate(_path, fd, size, reply) {
      replies.nothing("ftruncate", reply, (request) => {
        const { ino, handle } = files.get(fd);
        return operations.setattr(request, ino, handle, { size: checkOffset(size) });
      });
    },
    read(_path, fd, buffer, length, offset, reply) {
      replies.count("read", reply, async (request) => {
        const { ino, handle } = files.get(fd);
        if (offset > limits.fileBytesMax) return 0;
        return copyOut(await operations.read(request, ino, handle, offset, length, false), buffer);
      });
    },
    write(_path, fd, buffer, length, offset, reply) {
      replies.count("write", reply, (request) => {
        const { ino, handle, flags } = files.get(fd);
        const content = buffer.subarray(0, length);
        const how = { flags, fromPageCache: false, killPrivileges: false };
        return operations.write(request, ino, handle, checkOffset(offset), content, how);
      });
    },
    flush(_path, fd, reply) {
      replies.nothing("flush", reply, (request) => {
        const { ino, handle } = files.get(fd);
        return operations.flush(request, ino, handle, 0n);
      });
    },
    fsync(_path, dataOnly, fd, reply) {
      replies.nothing("fsync", reply, (request) => {
        const { ino, handle } = files.get(fd);
        return operations.fsync(request, ino, handle, dataOnly !== 0);
      });
    },
    release(_path, fd, reply) {
      replies.nothing("release", reply, async (request) => {
        const { ino, handle } = files.take(fd);
        try {
          await operations.release(request, ino, handle, undefined);
        } finally {
          held.used(ino);
        }
      });
    },
  };
}

function copyOut(result: ReadResult, buffer: Buffer): number {
  let bytes = 0;
  for (const piece of result.pieces) {
    buffer.set(piece, bytes);
    bytes += piece.length;
  }
  result.release?.();
  return bytes;
}
