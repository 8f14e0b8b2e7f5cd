/** Steps that change and look at names. */
import { AT, O, RENAME } from "../conformance/libc/constants.ts";
import { Directory } from "../conformance/libc/directory.ts";
import { sys } from "../conformance/libc/sys.ts";
import { renaming } from "./exempt.ts";
import { listing } from "./look.ts";
import { kind, octal, type Kind } from "./world.ts";

const [typeFifo, typeDevice, typeFile, typeSocket] = [0o010000, 0o020000, 0o100000, 0o140000];
/** major 1, minor 3: /dev/null */
const nullDevice = (1 << 8) | 3;

type TwoPaths = (from: Buffer, to: Buffer) => void;

function twoPaths(name: string, weight: number, run: TwoPaths): Kind {
  return kind(name, weight, (w) => {
    const [from, to] = [w.existing(), w.path()];
    return {
      args: `${JSON.stringify(from)} ${JSON.stringify(to)}`,
      act: (side) => renaming(side, from, to, run),
    };
  });
}

function onePath(name: string, weight: number, run: (path: Buffer) => unknown): Kind {
  return kind(name, weight, (w) => {
    const path = w.existing();
    return { args: JSON.stringify(path), act: (side) => run(side.path(path)) };
  });
}

function making(name: string, weight: number, run: (path: Buffer, mode: number) => void): Kind {
  return kind(name, weight, (w) => {
    const [path, mode] = [w.path(), w.mode()];
    return { args: `${JSON.stringify(path)} ${octal(mode)}`, act: (side) => run(side.path(path), mode) };
  });
}

export const nameSteps: readonly Kind[] = [
  making("mkdir", 10, (path, mode) => sys.mkdir(path, mode)),
  kind("mkdir of the usual tree", 8, (w) => {
    const path = w.folder();
    return { args: path, act: (side) => sys.mkdir(side.path(path), 0o777) };
  }),
  making("mknod fifo", 2, (path, mode) => sys.mknod(path, typeFifo | mode)),
  making("mkfifo", 1, (path, mode) => sys.mkfifo(path, mode)),
  making("mknod file", 2, (path, mode) => sys.mknod(path, typeFile | mode)),
  making("mknod socket", 1, (path, mode) => sys.mknod(path, typeSocket | mode)),
  making("mknod device", 1, (path, mode) => sys.mknod(path, typeDevice | mode, nullDevice)),
  onePath("rmdir", 4, (path) => sys.rmdir(path)),
  onePath("unlink", 10, (path) => sys.unlink(path)),
  onePath("unlinkat AT_REMOVEDIR", 2, (path) => sys.unlinkat(AT.FDCWD, path, AT.REMOVEDIR)),
  onePath("readlink", 4, (path) => sys.readlink(path)),
  onePath("readlink into 3 bytes", 1, (path) => sys.readlink(path, 3)),
  onePath("readdir", 8, (path) => listing(path)),
  twoPaths("rename", 14, (from, to) => sys.rename(from, to)),
  twoPaths("renameat2 NOREPLACE", 3, (from, to) => sys.renameat2(from, to, RENAME.NOREPLACE)),
  twoPaths("renameat2 EXCHANGE", 4, (from, to) => sys.renameat2(from, to, RENAME.EXCHANGE)),
  twoPaths("renameat2 WHITEOUT", 1, (from, to) => sys.renameat2(from, to, RENAME.WHITEOUT)),
  twoPaths("renameat2 NOREPLACE and EXCHANGE", 1, (from, to) =>
    sys.renameat2(from, to, RENAME.NOREPLACE | RENAME.EXCHANGE),
  ),
  twoPaths("link", 8, (from, to) => sys.link(from, to)),
  twoPaths("linkat AT_SYMLINK_FOLLOW", 3, (from, to) => sys.linkat(AT.FDCWD, from, AT.FDCWD, to, AT.SYMLINK_FOLLOW)),
  kind("symlink", 8, (w) => {
    const path = w.path();
    const name = w.name();
    const target = w.any([
      name,
      name,
      `d1/${name}`,
      `../${name}`,
      "d1",
      "s1",
      ".",
      "..",
      "/proc/nowhere/at all",
      "x".repeat(4095),
    ]);
    return {
      args: `${JSON.stringify(target.slice(0, 40))} ${JSON.stringify(path)}`,
      act: (side) => sys.symlink(Buffer.from(target, "latin1"), side.path(path)),
    };
  }),
  kind("readdir while a name is removed and one is made", 2, (w) => {
    const [folder, gone, made] = [w.folder(), w.name(), w.name()];
    return {
      args: `${JSON.stringify(folder)} -${JSON.stringify(gone)} +${JSON.stringify(made)}`,
      act: (side) => {
        const directory = new Directory(side.path(folder));
        try {
          const names = [directory.read()?.name, directory.read()?.name];
          const results = [
            () => sys.unlink(side.path(`${folder}/${gone}`)),
            () => sys.close(sys.open(side.path(`${folder}/${made}`), O.CREAT | O.EXCL | O.WRONLY)),
          ].map((act) => {
            try {
              act();
              return "done";
            } catch (error) {
              return String(error);
            }
          });
          names.push(...directory.readAll().map((entry) => entry.name));
          // Whether a name that came or went meanwhile is listed is left open by POSIX.
          return [...results, ...names.filter((name) => name !== gone && name !== made).sort()];
        } finally {
          directory.close();
        }
      },
    };
  }),
];
