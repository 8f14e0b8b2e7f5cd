/** Steps that read and change content. */
import { FALLOC, SEEK } from "../conformance/libc/constants.ts";
import { Mapping } from "../conformance/libc/mapping.ts";
import { sys } from "../conformance/libc/sys.ts";
import { contentBytes, contentOf, isRegular } from "./look.ts";
import type { Side } from "./side.ts";
import { descriptorToCopy } from "./exempt.ts";
import { kind, type Choice, type Kind, type World } from "./world.ts";

/** Files stay below this, so that comparing them is quick. */
const fileBytesMax = 12 << 20;
const mappedBytes = 64 << 10;

function mappable(fd: number): number {
  return Math.min(mappedBytes, contentBytes(fd));
}
const pageBytes = 4096;

function withSlot(name: string, weight: number, make: (w: World, slot: number) => Choice): Kind {
  return kind(name, weight, (w) => {
    const slot = w.slot();
    if (slot === undefined) return undefined;
    const { args, act } = make(w, slot);
    return { args: `#${String(slot)} ${args}`, act };
  });
}

function fallocating(name: string, weight: number, mode: number): Kind {
  return withSlot(name, weight, (w, slot) => {
    const [offset, length] = [w.offset(), w.length()];
    return {
      args: `${String(offset)}+${String(length)}`,
      act: (side) => sys.fallocate(side.fd(slot), mode, offset, length),
    };
  });
}

/** Where data or a hole begins may be said more or less finely: it has to be true, and to leave no data out. */
function seekTruth(side: Side, slot: number, offset: number, whence: number): string {
  const fd = side.fd(slot);
  if (!isRegular(fd)) return "not a file";
  const size = contentBytes(fd);
  const bytes = contentOf(fd, size);
  const isZero = (from: number, to: number): boolean => bytes.subarray(from, to).every((byte) => byte === 0);
  let found: number | undefined;
  try {
    found = sys.lseek(fd, offset, whence);
  } catch (error) {
    if (offset >= size || !isZero(offset, size)) throw error;
  }
  sys.lseek(fd, 17, SEEK.SET);
  if (whence === SEEK.HOLE)
    return found !== undefined && found >= offset && found <= size ? "true" : `hole at ${String(found)}`;
  return isZero(offset, found ?? size) ? "true" : `data before ${String(found)}`;
}

function seeking(name: string, whence: number): Kind {
  return withSlot(name, 4, (w, slot) => {
    const offset = w.offset();
    return { args: String(offset), act: (side) => seekTruth(side, slot, offset, whence) };
  });
}

function isDirectory(side: Side, slot: number): boolean {
  return (sys.fstat(side.fd(slot)).mode & 0o170000) === 0o040000;
}

function isFar(side: Side, slot: number): boolean {
  return !isDirectory(side, slot) && sys.lseek(side.fd(slot), 0, SEEK.CUR) > fileBytesMax;
}

/** Copies until nothing more comes: one call may do less than it was asked. */
function copyAll(step: (done: number) => number, length: number): number {
  let done = 0;
  while (done < length) {
    const count = step(done);
    if (count === 0) break;
    done += count;
  }
  return done;
}

export const contentSteps: readonly Kind[] = [
  withSlot("write", 20, (w, slot) => {
    const bytes = w.bytes(w.length());
    return {
      args: String(bytes.length),
      act: (side) => (isFar(side, slot) ? "far" : sys.write(side.fd(slot), bytes)),
    };
  }),
  withSlot("pwrite", 30, (w, slot) => {
    const [bytes, offset] = [w.bytes(w.length()), w.offset()];
    return {
      args: `${String(bytes.length)} at ${String(offset)}`,
      act: (side) => sys.pwrite(side.fd(slot), bytes, offset),
    };
  }),
  withSlot("write at the end", 8, (w, slot) => {
    const bytes = w.bytes(w.length());
    return {
      args: String(bytes.length),
      act: (side) => {
        // The end of a directory is a hash: nothing to compare.
        if (isDirectory(side, slot)) return sys.write(side.fd(slot), bytes);
        const end = sys.lseek(side.fd(slot), 0, SEEK.END);
        return isFar(side, slot) ? "far" : [end, sys.write(side.fd(slot), bytes)];
      },
    };
  }),
  withSlot("several small writes", 6, (w, slot) => {
    const pieces = Array.from({ length: 2 + w.below(12) }, () => ({
      bytes: w.bytes(1 + w.below(300)),
      offset: w.offset(),
    }));
    return {
      args: pieces.map(({ bytes, offset }) => `${String(bytes.length)}@${String(offset)}`).join(" "),
      act: (side) => pieces.map(({ bytes, offset }) => sys.pwrite(side.fd(slot), bytes, offset)),
    };
  }),
  withSlot("read", 12, (w, slot) => {
    const length = w.length();
    return { args: String(length), act: (side) => sys.read(side.fd(slot), length) };
  }),
  withSlot("pread", 20, (w, slot) => {
    const [length, offset] = [w.length(), w.offset()];
    return { args: `${String(length)} at ${String(offset)}`, act: (side) => sys.pread(side.fd(slot), length, offset) };
  }),
  withSlot("read everything", 6, (_w, slot) => ({
    args: "",
    act: (side) => contentOf(side.fd(slot), contentBytes(side.fd(slot))),
  })),
  withSlot("lseek SET, CUR, END", 5, (w, slot) => {
    const [offset, whence] = [w.offset() - (w.chance(4) ? 5000 : 0), w.any([SEEK.SET, SEEK.CUR, SEEK.END])];
    return {
      args: `${String(offset)} ${String(whence)}`,
      act: (side) => (isDirectory(side, slot) ? "directory" : sys.lseek(side.fd(slot), offset, whence)),
    };
  }),
  seeking("lseek SEEK_DATA", SEEK.DATA),
  seeking("lseek SEEK_HOLE", SEEK.HOLE),
  kind("truncate", 8, (w) => {
    const [path, length] = [w.existing(), w.chance(4) ? 0 : w.offset()];
    return { args: `${JSON.stringify(path)} ${String(length)}`, act: (side) => sys.truncate(side.path(path), length) };
  }),
  withSlot("ftruncate", 12, (w, slot) => {
    const length = w.chance(4) ? w.below(3) : w.offset();
    return { args: String(length), act: (side) => sys.ftruncate(side.fd(slot), length) };
  }),
  withSlot("ftruncate to the size it has", 2, (_w, slot) => ({
    args: "",
    act: (side) => sys.ftruncate(side.fd(slot), sys.fstat(side.fd(slot)).size),
  })),
  fallocating("fallocate", 4, 0),
  fallocating("fallocate KEEP_SIZE", 4, FALLOC.KEEP_SIZE),
  fallocating("fallocate PUNCH_HOLE", 8, FALLOC.PUNCH_HOLE | FALLOC.KEEP_SIZE),
  fallocating("fallocate PUNCH_HOLE alone", 1, FALLOC.PUNCH_HOLE),
  fallocating("fallocate ZERO_RANGE", 6, FALLOC.ZERO_RANGE),
  fallocating("fallocate ZERO_RANGE KEEP_SIZE", 4, FALLOC.ZERO_RANGE | FALLOC.KEEP_SIZE),
  kind("copy_file_range", 10, (w) => {
    const [from, to] = w.twoSlotsToCopy() ?? [];
    if (from === undefined || to === undefined) return undefined;
    const [at, into, length] = [w.offset(), w.offset(), w.length()];
    return {
      args: `#${String(from)} ${String(at)} #${String(to)} ${String(into)} ${String(length)}`,
      act: (side) =>
        copyAll(
          (done) => sys.copyFileRange(descriptorToCopy(side, from), at + done, side.fd(to), into + done, length - done),
          length,
        ),
    };
  }),
  kind("copy_file_range at the positions", 3, (w) => {
    const [[from, to] = [], length] = [w.twoSlotsToCopy(), w.length()];
    if (from === undefined || to === undefined) return undefined;
    return {
      args: `#${String(from)} #${String(to)} ${String(length)}`,
      act: (side) =>
        copyAll(
          (done) => sys.copyFileRange(descriptorToCopy(side, from), null, side.fd(to), null, length - done),
          length,
        ),
    };
  }),
  kind("sendfile", 3, (w) => {
    const [from, to, length] = [w.slot(), w.slot(), w.below(20_000)];
    if (from === undefined || to === undefined || from === to) return undefined;
    return {
      args: `#${String(from)} #${String(to)} ${String(length)}`,
      act: (side) => {
        // A file copied onto itself would grow as it is read.
        const [a, b] = [sys.fstat(side.fd(from)), sys.fstat(side.fd(to))];
        return a.ino === b.ino ? "same file" : sys.sendfile(side.fd(to), side.fd(from), length);
      },
    };
  }),
  withSlot("mmap, store and msync", 6, (w, slot) => {
    const [at, bytes] = [w.offset() % mappedBytes, w.bytes(1 + w.below(6_000))];
    return {
      args: `${String(bytes.length)} at ${String(at)}`,
      act: (side) => {
        const length = mappable(side.fd(slot));
        if (at >= length) return "beyond the end";
        const map = new Mapping(side.fd(slot), length, { shared: true, writable: true });
        bytes.copy(map.bytes, at, 0, length - at);
        map.sync();
        map.unmap();
        return length;
      },
    };
  }),
  kind("mmap and keep it", 3, (w) => {
    const slot = w.slot();
    // With several mounts a mapping shows what others change only after its next page fault (see SEMANTICS.md).
    if (slot === undefined || w.hasManyMounts) return undefined;
    return {
      args: `#${String(slot)}`,
      act: (side) => {
        const file = side.file(slot);
        const bytes = mappable(file.fd);
        if (file.mapping !== undefined || bytes < pageBytes) return "not now";
        file.mapping = { bytes, map: new Mapping(file.fd, bytes, { shared: true, writable: true }) };
        return bytes;
      },
    };
  }),
  withSlot("store through the kept mapping", 6, (w, slot) => {
    const [at, bytes] = [w.offset(), w.bytes(1 + w.below(3_000))];
    return {
      args: `${String(bytes.length)} at ${String(at)}`,
      act: (side) =>
        withMapping(side, slot, (map, length) => {
          if (at >= length) return "beyond the end";
          bytes.copy(map.bytes, at, 0, length - at);
          map.sync();
          return length;
        }),
    };
  }),
  withSlot("load through the kept mapping", 6, (_w, slot) => ({
    args: "",
    act: (side) => withMapping(side, slot, (map, length) => Buffer.from(map.bytes.subarray(0, length))),
  })),
  withSlot("mmap private, store, read", 3, (w, slot) => {
    const [at, bytes] = [w.offset() % mappedBytes, w.bytes(1 + w.below(3_000))];
    return {
      args: `${String(bytes.length)} at ${String(at)}`,
      act: (side) => {
        const length = mappable(side.fd(slot));
        if (at >= length) return "beyond the end";
        const map = new Mapping(side.fd(slot), length, { shared: false, writable: true });
        bytes.copy(map.bytes, at, 0, length - at);
        const seen = Buffer.from(map.bytes.subarray(0, length));
        map.unmap();
        return seen;
      },
    };
  }),
];

/** Of a kept mapping only what is inside the file now: the rest is SIGBUS. */
function withMapping(side: Side, slot: number, run: (map: Mapping, length: number) => unknown): unknown {
  const file = side.open.get(slot);
  if (file?.mapping === undefined) return "no mapping";
  const length = Math.min(file.mapping.bytes, Number(sys.fstat(file.fd).size));
  return length === 0 ? "empty" : run(file.mapping.map, length);
}
