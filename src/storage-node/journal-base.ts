/**
 * The base of a copy: a snapshot of the metadata as the name server wrote it, taken in pieces into `journal/partial` and
 * verified as a whole from the disk before it becomes `journal/<index, 16 hexadecimal digits>.base`.
 */
import { checksum } from "../base/checksum.ts";
import type { Disk } from "../base/disk.ts";
import { errnoOf, FsError } from "../base/errno.ts";
import { journalFolder } from "../journal/journal-files.ts";
import type { CopyBase } from "./journal-state.ts";

const partialPath = `${journalFolder}/partial`;
const pieceBytes = 1024 * 1024;

export function basePath(base: CopyBase): string {
  return `${journalFolder}/${base.position.index.toString(16).padStart(16, "0")}.base`;
}

/** Whether the file is there and has the content that it was taken with. */
export async function isBaseWhole(disk: Disk, base: CopyBase, path = basePath(base)): Promise<boolean> {
  if (base.bytes === 0) return true;
  if (!(await disk.exists(path))) return false;
  const file = await disk.open(path, "open");
  try {
    if ((await file.size()) !== base.bytes) return false;
    const piece = Buffer.allocUnsafeSlow(Math.min(pieceBytes, base.bytes));
    let crc = 0;
    for (let at = 0; at < base.bytes;) {
      const length = await file.read(piece.subarray(0, Math.min(piece.length, base.bytes - at)), at);
      if (length === 0) return false;
      crc = checksum(piece.subarray(0, length), crc);
      at += length;
    }
    return crc === base.crc;
  } finally {
    await file.close();
  }
}

export async function readBase(disk: Disk, base: CopyBase, offset: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(Math.max(0, Math.min(length, base.bytes - offset)));
  const file = await disk.open(basePath(base), "open");
  try {
    if ((await file.read(bytes, offset)) !== bytes.length) throw new FsError("EIO", `${basePath(base)} is too short`);
    return bytes;
  } finally {
    await file.close();
  }
}

/** Removes every base but this one, and what was left of one that never became whole. */
export async function removeOtherBases(disk: Disk, base: CopyBase | undefined): Promise<void> {
  const kept = base === undefined || base.bytes === 0 ? undefined : basePath(base);
  for (const name of await disk.list(journalFolder)) {
    const path = `${journalFolder}/${name}`;
    if ((name.endsWith(".base") || path === partialPath) && path !== kept) await disk.remove(path);
  }
}

/** A base on its way. */
export class IncomingBase {
  readonly base: CopyBase;
  readonly #disk: Disk;
  #bytes = 0;

  private constructor(disk: Disk, base: CopyBase) {
    this.#disk = disk;
    this.base = base;
  }

  static async begin(disk: Disk, base: CopyBase): Promise<IncomingBase> {
    if (await disk.exists(partialPath)) await disk.remove(partialPath);
    if (base.bytes > 0) await (await disk.open(partialPath, "create")).close();
    return new IncomingBase(disk, base);
  }

  /** Whether this piece is the next one. */
  expects(base: CopyBase, offset: number): boolean {
    const { position, bytes, crc } = this.base;
    return (
      offset === this.#bytes &&
      bytes === base.bytes &&
      crc === base.crc &&
      position.index === base.position.index &&
      position.crc === base.position.crc
    );
  }

  /** Resolves with true when that was all, and it is whole and durable under its name. EBADMSG: it is not whole. */
  async take(piece: Buffer): Promise<boolean> {
    const { bytes } = this.base;
    if (bytes === 0) return true;
    if (this.#bytes + piece.length > bytes) throw new FsError("EINVAL", "more than the whole base");
    const file = await this.#disk.open(partialPath, "open");
    try {
      await file.write([piece], this.#bytes).catch(async (error: unknown) => {
        // What fills the disk would help nobody.
        if (errnoOf(error) === "ENOSPC") await this.#disk.remove(partialPath);
        throw error;
      });
      this.#bytes += piece.length;
      if (this.#bytes < bytes) return false;
      await file.sync();
    } finally {
      await file.close();
    }
    if (!(await isBaseWhole(this.#disk, this.base, partialPath))) {
      await this.#disk.remove(partialPath);
      throw new FsError("EBADMSG", "the base is not what was announced");
    }
    await this.#disk.rename(partialPath, basePath(this.base));
    await this.#disk.syncFolder(journalFolder);
    return true;
  }
}
