/**
 * What the content of one inode learns of it, and tells it. A class because there is one per file that is remembered:
 * an object with getters of its own takes 1.5 KB more.
 */
import type { Attributes } from "../base/attributes.ts";
import type { Ino } from "../base/ids.ts";
import type { Log } from "../base/log.ts";
import type { ContentOwner, ReadFile } from "../cache/types.ts";
import type { Coherence } from "./coherence.ts";
import type { InodeTable } from "./inode-table.ts";
import { hasBufferedReader, type Inode } from "./inode.ts";
import type { ReadAlong } from "./read-along.ts";

export interface InodeOwnerParts {
  readonly inodes: () => InodeTable;
  readonly readAlong: () => ReadAlong;
  readonly coherence: Coherence;
  readonly log: Log;
}

export class InodeOwner implements ContentOwner {
  readonly #parts: InodeOwnerParts;
  readonly #inode: Inode;

  constructor(parts: InodeOwnerParts, inode: Inode) {
    this.#parts = parts;
    this.#inode = inode;
  }

  get ino(): Ino {
    return this.#inode.ino;
  }

  get mayCache(): boolean {
    return this.#parts.coherence.trusts(this.#inode);
  }

  get mayBuffer(): boolean {
    return this.#parts.coherence.mayBuffer(this.#inode);
  }

  get runsAhead(): boolean {
    // A removal that was asked for would be there first, and a change of what is gone refuses all that ran ahead.
    return this.mayBuffer && this.#inode.removing === undefined;
  }

  get insists(): boolean {
    return hasBufferedReader(this.#inode);
  }

  get replicas(): number | undefined {
    return this.#inode.attributes?.replicas;
  }

  get moment(): number {
    return this.#parts.coherence.moment;
  }

  holds(since: number): boolean {
    return this.#parts.coherence.holds(this.ino, since);
  }

  companions(): readonly Ino[] {
    return this.#parts.readAlong().companions(this.#inode);
  }

  companionsRead(files: readonly ReadFile[], since: number): void {
    this.#parts.readAlong().told(files, since);
  }

  serverAttributes(attributes: Attributes, since: number): void {
    const inode = this.#inode;
    // Nothing else has changed the content since: this is its newest state.
    this.#parts.inodes().changed(attributes, this.holds(since) ? this.moment : since);
    keepSize(inode, attributes);
    if (inode.content?.isDirty !== false) return;
    inode.writtenBytes = 0;
    inode.privilegesCleared = false;
  }

  lost(error: Error): void {
    this.#inode.lostData = true;
    const message = "written data was lost: close or fsync of the file says so";
    this.#parts.log.error({ ino: this.ino, error: String(error) }, message);
  }
}

/** An answer that a change made here has overtaken is not taken, but nothing newer is known of the size. */
function keepSize(inode: Inode, { size, blocks }: Attributes): void {
  const known = inode.attributes;
  if (known === undefined || (known.size === size && known.blocks === blocks)) return;
  inode.attributes = { ...known, size, blocks };
}
