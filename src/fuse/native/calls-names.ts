/** The package's calls about names and attributes, in terms of `Operations`. */
import { isUtf8 } from "node:buffer";
import type { PathOperations, Stat } from "fuse-native";
import { fileType, isRegular } from "../../base/attributes.ts";
import { errnoOf, FsError } from "../../base/errno.ts";
import type { Ino } from "../../base/ids.ts";
import { nameFromBytes, nameToText, type Name } from "../../base/name.ts";
import type { AttributeChanges, Creation, Entry, MaybePromise, RequestContext } from "../operations.ts";
import type { CallParts } from "./calls.ts";
import { checkOffset, fromMillis, toEntryStat, toStat, toStatvfs } from "./translate.ts";
import { textBytes } from "./paths.ts";

type NameCalls =
  | ("getattr" | "chmod" | "chown" | "utimens" | "truncate" | "statfs")
  | ("readdir" | "fsyncdir" | "readlink" | "symlink" | "link" | "mknod" | "mkdir" | "unlink" | "rmdir" | "rename")
  | ("setxattr" | "getxattr" | "listxattr" | "removexattr");

/** Of a whole directory: the package cannot take less. */
interface Listing {
  readonly names: string[];
  readonly stats: Stat[];
}

/** (uid_t) -1: stays as it is. */
const unchangedId = 0xffff_ffff;

export function nameCalls({ operations, paths, held, replies }: CallParts): Pick<PathOperations, NameCalls> {
  const change = (request: RequestContext, path: string, changes: AttributeChanges): Promise<unknown> =>
    paths.at(request, path, ({ ino }) => operations.setattr(request, ino, undefined, changes));

  /** Its name counts as looked up. */
  const made = async (entry: MaybePromise<Entry>): Promise<void> => {
    held.used((await entry).attributes.ino);
  };

  /** The package changes the mode by the umask itself. */
  const creation = (mode: number): Creation => ({ mode, umask: 0 });

  const list = async (request: RequestContext, ino: Ino): Promise<Listing> => {
    const names: string[] = [];
    const stats: Stat[] = [];
    const { handle } = await operations.opendir(request, ino, 0);
    try {
      for (let cookie = 0, before = -1; names.length > before;) {
        before = names.length;
        await operations.readdir(request, ino, handle, cookie, false, (entry) => {
          names.push(entry.name === "." || entry.name === ".." ? entry.name : nameToText(entry.name));
          stats.push(toEntryStat(entry.ino, entry.type));
          cookie = entry.cookie;
          return true;
        });
      }
    } finally {
      await operations.releasedir(request, ino, handle);
    }
    return { names, stats };
  };

  return {
    getattr(path, reply) {
      replies.value("getattr", reply, (request) =>
        paths.at(request, path, async ({ ino, attributes }) =>
          toStat(attributes ?? (await operations.getattr(request, ino, undefined)).attributes),
        ),
      );
    },
    chmod(path, mode, reply) {
      replies.nothing("chmod", reply, (request) => change(request, path, { mode }));
    },
    chown(path, uid, gid, reply) {
      replies.nothing("chown", reply, (request) =>
        change(request, path, {
          ...(uid === unchangedId ? {} : { uid }),
          ...(gid === unchangedId ? {} : { gid }),
        }),
      );
    },
    utimens(path, atime, mtime, reply) {
      replies.nothing("utimens", reply, (request) =>
        change(request, path, { atime: fromMillis(atime), mtime: fromMillis(mtime) }),
      );
    },
    truncate(path, size, reply) {
      replies.nothing("truncate", reply, (request) => change(request, path, { size: checkOffset(size) }));
    },
    statfs(path, reply) {
      replies.value("statfs", reply, (request) =>
        paths.at(request, path, async ({ ino }) => toStatvfs(await operations.statfs(request, ino))),
      );
    },

    readdir(path, reply) {
      replies.value(
        "readdir",
        (result, listing?: Listing) => {
          reply(result, listing?.names, listing?.stats);
        },
        (request) => paths.at(request, path, ({ ino }) => list(request, ino)),
      );
    },
    fsyncdir(path, dataOnly, _fd, reply) {
      replies.nothing("fsyncdir", reply, (request) =>
        paths.at(request, path, async ({ ino }) => {
          const { handle } = await operations.opendir(request, ino, 0);
          try {
            await operations.fsyncdir(request, ino, handle, dataOnly !== 0);
          } finally {
            await operations.releasedir(request, ino, handle);
          }
        }),
      );
    },
    readlink(path, reply) {
      replies.value("readlink", reply, (request) =>
        paths.at(request, path, async ({ ino }) => {
          const target = await operations.readlink(request, ino);
          if (!isUtf8(target)) throw new FsError("EILSEQ", `the target of ${String(ino)} is not UTF-8`);
          return target.toString("utf8");
        }),
      );
    },
    symlink(target, path, reply) {
      replies.nothing("symlink", reply, (request) =>
        paths.in(request, path, ({ parent, name }) =>
          made(operations.symlink(request, parent, name, textBytes(target))),
        ),
      );
    },
    link(path, newPath, reply) {
      replies.nothing("link", reply, (request) =>
        paths.at(request, path, ({ ino }) =>
          paths.in(request, newPath, ({ parent, name }) => made(operations.link(request, ino, parent, name))),
        ),
      );
    },
    mknod(path, mode, rdev, reply) {
      replies.nothing("mknod", reply, (request) =>
        paths.in(request, path, async ({ parent, name }) => {
          try {
            await made(operations.mknod(request, parent, name, creation(mode), rdev));
          } catch (error) {
            // Half of an open with O_CREAT, maybe without O_EXCL: upon ESTALE the kernel looks the name up again.
            if (errnoOf(error) !== "EEXIST" || !isRegular(mode)) throw error;
            throw new FsError("ESTALE", `${String(parent)}: the name to create has appeared`, { cause: error });
          }
        }),
      );
    },
    mkdir(path, mode, reply) {
      replies.nothing("mkdir", reply, (request) =>
        paths.in(request, path, ({ parent, name }) =>
          made(operations.mkdir(request, parent, name, creation(mode | fileType.directory))),
        ),
      );
    },
    unlink(path, reply) {
      replies.nothing("unlink", reply, (request) =>
        paths.in(request, path, (place) =>
          paths.removing(request, place, () => operations.unlink(request, place.parent, place.name)),
        ),
      );
    },
    rmdir(path, reply) {
      replies.nothing("rmdir", reply, (request) =>
        paths.in(request, path, (place) =>
          paths.removing(request, place, () => operations.rmdir(request, place.parent, place.name)),
        ),
      );
    },
    rename(path, newPath, reply) {
      replies.nothing("rename", reply, (request) =>
        paths.in(request, path, ({ parent, name }) =>
          paths.in(request, newPath, (to) =>
            paths.removing(request, to, () => operations.rename(request, parent, name, to.parent, to.name, 0)),
          ),
        ),
      );
    },

    setxattr(path, name, value, _position, flags, reply) {
      replies.nothing("setxattr", reply, (request) =>
        paths.at(request, path, ({ ino }) =>
          operations.setxattr(request, ino, attributeName(name), value, flags, false),
        ),
      );
    },
    getxattr(path, name, _position, reply) {
      replies.value("getxattr", reply, (request) =>
        paths.at(request, path, async ({ ino }) => {
          const value = await operations.getxattr(request, ino, attributeName(name));
          if (value === undefined) throw new FsError("ENODATA", `${String(ino)} has no such attribute`);
          return value;
        }),
      );
    },
    listxattr(path, reply) {
      replies.value("listxattr", reply, (request) =>
        paths.at(request, path, async ({ ino }) => {
          const names = await operations.listxattr(request, ino);
          return Buffer.from(names.map((name) => `${name}\0`).join(""), "latin1");
        }),
      );
    },
    removexattr(path, name, reply) {
      replies.nothing("removexattr", reply, (request) =>
        paths.at(request, path, ({ ino }) => operations.removexattr(request, ino, attributeName(name))),
      );
    },
  };
}

function attributeName(text: string): Name {
  return nameFromBytes(textBytes(text));
}
