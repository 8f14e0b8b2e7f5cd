/** Steps that open, duplicate and close, and what belongs to an open file: its flags, its locks. */
import { AT, F, LOCK, O } from "../conformance/libc/constants.ts";
import { sys } from "../conformance/libc/sys.ts";
import { kind, octal, type Kind, type World } from "./world.ts";

const typeFifo = 0o010000;

/** Every mix of access and creation flags. O_DIRECT is left out: it needs aligned memory, which these calls do not have. */
function flagsFor(w: World, path: string): number {
  let flags: number = w.any([O.RDONLY, O.WRONLY, O.RDWR, O.RDWR, O.RDWR]);
  if (w.chance(2)) flags |= O.CREAT;
  if (w.chance(8)) flags |= O.EXCL;
  if (w.chance(6)) flags |= O.TRUNC;
  if (w.chance(5)) flags |= O.APPEND;
  if (w.chance(10)) flags |= O.NOFOLLOW;
  if (w.chance(12)) flags |= O.DIRECTORY;
  if (w.chance(15)) flags |= O.SYNC;
  if (w.chance(15)) flags |= O.DSYNC;
  if (w.chance(15)) flags |= O.NOATIME;
  // The other end of a FIFO is never there: waiting for it would be for ever.
  if (w.typeOf(path, true) === typeFifo || w.chance(15)) flags |= O.NONBLOCK;
  return flags;
}

function flagText(flags: number): string {
  const access = ["RDONLY", "WRONLY", "RDWR"][flags & 3] ?? "?";
  const named = Object.entries(O).filter(([name, bit]) => bit > 3 && name !== "TMPFILE" && (flags & bit) === bit);
  return [access, ...named.map(([name]) => name)].join("|");
}

function onSlot(name: string, weight: number, run: (fd: number) => unknown): Kind {
  return kind(name, weight, (w) => {
    const slot = w.slot();
    return slot === undefined ? undefined : { args: `#${String(slot)}`, act: (side) => run(side.fd(slot)) };
  });
}

export const fileSteps: readonly Kind[] = [
  kind("open", 30, (w) => {
    const [path, slot, mode] = [w.chance(3) ? w.path() : w.existing(), w.anySlot(), w.mode()];
    if (w.isFifoOfManyMounts(path)) return undefined;
    const flags = flagsFor(w, path);
    const what = `${JSON.stringify(path)} ${flagText(flags)} ${octal(mode)}`;
    return {
      args: `#${String(slot)} ${what}`,
      act: (side) => side.put(slot, sys.open(side.path(path), flags, mode), what),
    };
  }),
  kind("open for reading and writing", 25, (w) => {
    const [path, slot] = [w.path(), w.anySlot()];
    if (w.isFifoOfManyMounts(path)) return undefined;
    const flags = O.RDWR | O.CREAT | (w.typeOf(path, true) === typeFifo ? O.NONBLOCK : 0);
    const what = `${JSON.stringify(path)} RDWR|CREAT`;
    return { args: `#${String(slot)} ${what}`, act: (side) => side.put(slot, sys.open(side.path(path), flags), what) };
  }),
  kind("creat", 4, (w) => {
    const [path, slot, mode] = [w.path(), w.anySlot(), w.mode()];
    if (w.isFifoOfManyMounts(path)) return undefined;
    const flags = O.WRONLY | O.CREAT | O.TRUNC | (w.typeOf(path, true) === typeFifo ? O.NONBLOCK : 0);
    const what = `${JSON.stringify(path)} ${octal(mode)}`;
    return {
      args: `#${String(slot)} ${what}`,
      act: (side) => side.put(slot, sys.open(side.path(path), flags, mode), `creat ${what}`),
    };
  }),
  kind("openat", 4, (w) => {
    const [dir, slot, name, mode] = [w.slot(), w.anySlot(), w.name(), w.mode()];
    if (dir === undefined || w.isFifoOfManyMounts(name, dir)) return undefined;
    const flags = flagsFor(w, "") | O.NONBLOCK;
    const what = `at #${String(dir)} ${JSON.stringify(name)} ${flagText(flags)}`;
    return {
      args: `#${String(slot)} ${what}`,
      act: (side) => {
        const { fd, root } = side.file(dir);
        side.put(slot, sys.openat(fd, Buffer.from(name, "latin1"), flags, mode), what, root);
      },
    };
  }),
  kind("open a directory", 3, (w) => {
    const [path, slot] = [w.folder(), w.anySlot()];
    return {
      args: `#${String(slot)} ${path}`,
      act: (side) => side.put(slot, sys.open(side.path(path), O.RDONLY | O.DIRECTORY), path),
    };
  }),
  kind("open O_TMPFILE", 4, (w) => {
    const [path, slot, mode] = [w.folder(), w.anySlot(), w.mode()];
    const flags = O.TMPFILE | O.RDWR | (w.chance(5) ? O.EXCL : 0);
    return {
      args: `#${String(slot)} ${path} ${octal(mode)}`,
      act: (side) => side.put(slot, sys.open(side.path(path), flags, mode), "O_TMPFILE"),
    };
  }),
  kind("linkat of an open file", 4, (w) => {
    const [slot, path] = [w.slot(), w.path()];
    if (slot === undefined) return undefined;
    return {
      args: `#${String(slot)} ${JSON.stringify(path)}`,
      act: (side) =>
        sys.linkat(
          AT.FDCWD,
          `/proc/self/fd/${String(side.fd(slot))}`,
          AT.FDCWD,
          side.path(path, side.file(slot).root),
          AT.SYMLINK_FOLLOW,
        ),
    };
  }),
  kind("dup", 4, (w) => {
    const [slot, to] = [w.slot(), w.anySlot()];
    if (slot === undefined) return undefined;
    return {
      args: `#${String(slot)} #${String(to)}`,
      act: (side) => side.put(to, sys.dup(side.fd(slot)), `dup of #${String(slot)}`, side.file(slot).root),
    };
  }),
  kind("close", 12, (w) => {
    const slot = w.slot();
    return slot === undefined ? undefined : { args: `#${String(slot)}`, act: (side) => side.close(slot) };
  }),
  onSlot("fsync", 3, (fd) => sys.fsync(fd)),
  onSlot("fdatasync", 2, (fd) => sys.fdatasync(fd)),
  onSlot("fcntl F_GETFL", 1, (fd) => sys.flags(fd)),
  kind("fcntl F_SETFL O_APPEND", 3, (w) => {
    const [slot, on] = [w.slot(), w.chance(2)];
    if (slot === undefined) return undefined;
    return {
      args: `#${String(slot)} ${on ? "on" : "off"}`,
      act: (side) => {
        const flags = sys.flags(side.fd(slot));
        sys.setFlags(side.fd(slot), on ? flags | O.APPEND : flags & ~O.APPEND);
      },
    };
  }),
  // A lock is always given back by hand: that one dropped by close is free a moment later, which is allowed.
  kind("flock", 3, (w) => {
    const [[slot, other] = [], how] = [w.twoSlotsToLock(), w.any([LOCK.SH, LOCK.EX])];
    if (slot === undefined || other === undefined) return undefined;
    return {
      args: `#${String(slot)} ${String(how)}, then #${String(other)}`,
      act: (side) => {
        sys.flock(side.fd(slot), how | LOCK.NB);
        try {
          sys.flock(side.fd(other), LOCK.EX | LOCK.NB);
          sys.flock(side.fd(other), LOCK.UN);
        } finally {
          sys.flock(side.fd(slot), LOCK.UN);
        }
      },
    };
  }),
  kind("OFD locks", 3, (w) => {
    const [[slot, other] = [], type] = [w.twoSlotsToLock(), w.any([F.RDLCK, F.WRLCK])];
    if (slot === undefined || other === undefined) return undefined;
    const [start, length] = [BigInt(w.below(100)), BigInt(w.below(100))];
    const [start2, length2] = [BigInt(w.below(100)), BigInt(w.below(100))];
    return {
      args: `#${String(slot)} ${String(type)} ${String(start)}+${String(length)}, then #${String(other)} ${String(start2)}+${String(length2)}`,
      act: (side) => {
        sys.lock(side.fd(slot), F.OFD_SETLK, { type, start, length });
        try {
          const found = sys.lock(side.fd(other), F.OFD_GETLK, { type: F.WRLCK, start: start2, length: length2 });
          return [found.type, found.start, found.length];
        } finally {
          sys.lock(side.fd(slot), F.OFD_SETLK, { type: F.UNLCK });
        }
      },
    };
  }),
  kind("fcntl lock under an OFD lock", 2, (w) => {
    const [slot, other] = w.twoSlotsToLock() ?? [];
    if (slot === undefined || other === undefined) return undefined;
    const start = BigInt(w.below(20));
    return {
      args: `#${String(slot)}, #${String(other)} at ${String(start)}`,
      act: (side) => {
        sys.lock(side.fd(slot), F.OFD_SETLK, { type: F.WRLCK, start: 10n, length: 5n });
        try {
          sys.lock(side.fd(other), F.SETLK, { type: F.WRLCK, start, length: 3n });
          sys.lock(side.fd(other), F.SETLK, { type: F.UNLCK });
        } finally {
          sys.lock(side.fd(slot), F.OFD_SETLK, { type: F.UNLCK });
        }
      },
    };
  }),
];
