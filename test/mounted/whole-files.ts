/** Reading and writing a whole file by its path, and the clock that all processes of a machine share. In children only. */
import { O } from "../conformance/libc/constants.ts";
import { type Path } from "../conformance/libc/calls.ts";
import { sys } from "../conformance/libc/sys.ts";

const pieceBytes = 1 << 18;

/** open, read to the end, close. */
export function readWhole(path: Path): Buffer {
  const fd = sys.open(path, O.RDONLY);
  try {
    const pieces: Buffer[] = [];
    for (;;) {
      const piece = sys.read(fd, pieceBytes);
      if (piece.length === 0) return Buffer.concat(pieces);
      pieces.push(piece);
    }
  } finally {
    sys.close(fd);
  }
}

/** open, write, close. */
export function writeWhole(path: Path, bytes: Path, flags: number = O.TRUNC): void {
  const fd = sys.open(path, O.WRONLY | O.CREAT | flags);
  try {
    const length = Buffer.byteLength(bytes);
    const count = sys.write(fd, bytes);
    if (count !== length) throw new Error(`wrote ${String(count)} of ${String(length)} bytes`);
  } finally {
    sys.close(fd);
  }
}

/** Nanoseconds of CLOCK_MONOTONIC. */
export function now(): bigint {
  return process.hrtime.bigint();
}
