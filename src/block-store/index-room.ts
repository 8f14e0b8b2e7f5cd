/**
 * Room for the index on a full disk: LMDB writes changed pages to other places of its file, so that a removal needs
 * space before it gives any. Behind LMDB's last page the file is filled with zeros that are on the disk already; LMDB
 * grows into them. (On a filesystem that never overwrites in place, btrfs or zfs, that reserves nothing.)
 */
import type { Disk } from "../base/disk.ts";
import { errnoOf } from "../base/errno.ts";
import { limits } from "../base/limits.ts";

const pieceBytes = 256 * 1024;

export class IndexRoom {
  readonly #disk: Disk;
  readonly #path: string;
  #fileBytes = 0;

  constructor(disk: Disk, path: string) {
    this.#disk = disk;
    this.#path = path;
  }

  /** Not while LMDB writes. `usedBytes`: where LMDB's last page ends. A full disk is not an error: there is what there is. */
  async keep(usedBytes: number): Promise<void> {
    if (this.#fileBytes - usedBytes >= limits.indexRoomBytes / 2) return;
    const file = await this.#disk.open(this.#path, "open");
    try {
      this.#fileBytes = await file.size();
      const zeros = Buffer.alloc(pieceBytes);
      while (this.#fileBytes - usedBytes < limits.indexRoomBytes) {
        await file.write([zeros], this.#fileBytes);
        this.#fileBytes += pieceBytes;
      }
    } catch (error) {
      if (errnoOf(error) !== "ENOSPC") throw error;
    } finally {
      await file.sync().finally(() => file.close());
    }
  }
}
