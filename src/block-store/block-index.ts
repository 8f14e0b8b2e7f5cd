/**
 * Where each block is, how much of each segment is alive, and up to where the segments are known.
 *
 * Changes are synchronous and visible at once; `commit` makes all of them durable in one transaction, together with the
 * position, so the index on disk always knows exactly the records before its position. Being behind is harmless: the
 * rest is read from the segments at the next start.
 */
import { assert } from "../base/assert.ts";
import type { BlockId, GroupId, NodeId } from "../base/ids.ts";
import type { IndexBackend, IndexChange } from "./index-backend.ts";
import {
  blockKey,
  blockOfKey,
  decodeGreatest,
  decodeLocation,
  decodePosition,
  decodeSegment,
  encodeGreatest,
  encodeLocation,
  encodePosition,
  encodeSegment,
  greatestKey,
  IndexDamaged,
  positionKey,
  segmentKey,
  tables,
  type Position,
  type SegmentRow,
} from "./index-codec.ts";
import { IndexOverlay } from "./index-overlay.ts";
import { fileHeaderBytes, recordBytes, type Location } from "./record.ts";
import type { StoredBlock } from "./types.ts";

type Row = { -readonly [K in keyof SegmentRow]: SegmentRow[K] };

export class BlockIndex {
  readonly #backend: IndexBackend;
  readonly #node: NodeId;
  readonly #rows = new Map<number, Row>();
  readonly #greatest = new Map<GroupId, number>();
  #position: Position = { segment: 0, offset: 0 };
  #blocks = 0;
  #usedBytes = 0;
  #liveBytes = 0;

  #dirty = new IndexOverlay();
  #committing = new IndexOverlay();
  #dirtyRows = new Set<number>();
  #dirtyGroups = new Set<GroupId>();
  #isDirty = false;
  #running: Promise<void> = Promise.resolve();
  #queued: Promise<void> | undefined;

  private constructor(backend: IndexBackend, node: NodeId) {
    this.#backend = backend;
    this.#node = node;
  }

  /** What the backend has; throws IndexDamaged when it is not to be believed. An empty backend gives an empty index. */
  static load(backend: IndexBackend, node: NodeId): BlockIndex {
    const index = new BlockIndex(backend, node);
    const value = backend.get(positionKey);
    if (value === undefined) return index;
    const stored = decodePosition(value);
    if (stored.node !== node) throw new IndexDamaged(`the index is of node ${stored.node}`);
    index.#position = stored.position;
    index.#blocks = stored.blocks;
    for (const [key, row] of backend.range(...tables.segments)) index.#addRow(decodeSegment(key, row));
    for (const [key, number] of backend.range(...tables.greatest)) {
      const greatest = decodeGreatest(key, number);
      index.#greatest.set(greatest.group, greatest.number);
    }
    return index;
  }

  /** Throws IndexDamaged. */
  get(block: BlockId): Location | undefined {
    let changed = this.#dirty.get(block);
    if (changed === undefined) changed = this.#committing.get(block);
    if (changed !== undefined) return changed ?? undefined;
    const key = blockKey(block);
    const value = this.#backend.get(key);
    return value === undefined ? undefined : decodeLocation(key, value);
  }

  list(group: GroupId, first: number, limit: number): StoredBlock[] {
    const changes = new Map([...this.#committing.ofGroup(group), ...this.#dirty.ofGroup(group)]);
    const added = [...changes].filter(([number, location]) => number >= first && location !== null);
    added.sort(([a], [b]) => b - a);
    const found: StoredBlock[] = [];
    const takeAddedBelow = (bound: number): void => {
      for (
        let next = added.at(-1);
        next !== undefined && next[0] < bound && found.length < limit;
        next = added.at(-1)
      ) {
        added.pop();
        found.push({ block: { group, number: next[0] }, length: (next[1] as Location).length });
      }
    };
    const end = Buffer.from(blockKey({ group, number: 2 ** 48 - 1 }));
    for (const [key, value] of this.#backend.range(blockKey({ group, number: first }), after(end))) {
      const block = blockOfKey(key);
      takeAddedBelow(block.number);
      if (found.length >= limit) return found;
      if (!changes.has(block.number)) found.push({ block, length: decodeLocation(key, value).length });
      if (found.length >= limit) return found;
    }
    takeAddedBelow(Infinity);
    return found;
  }

  get position(): Position {
    return this.#position;
  }
  /** How many blocks are alive. */
  get blocks(): number {
    return this.#blocks;
  }
  /** Of all segment files, as far as their records are known here. */
  get usedBytes(): number {
    return this.#usedBytes;
  }
  /** Of records that are alive. */
  get liveBytes(): number {
    return this.#liveBytes;
  }
  /** Changed blocks that are not durable yet. */
  get pending(): number {
    return this.#dirty.size + this.#committing.size;
  }
  get segments(): ReadonlyMap<number, SegmentRow> {
    return this.#rows;
  }
  get greatest(): ReadonlyMap<GroupId, number> {
    return this.#greatest;
  }

  /** A new, empty segment file. */
  addSegment(segment: number): void {
    this.#addRow({ segment, endBytes: fileHeaderBytes, liveBytes: 0, liveBlocks: 0 });
    this.#dirtyRows.add(segment);
    this.#isDirty = true;
  }

  /** The next record of a segment, which is durable there. `isLive`: it is what the block now consists of. */
  addRecord(block: BlockId, location: Location, isLive: boolean): void {
    const end = location.offset + recordBytes(location.length);
    this.setSegmentEnd(location.segment, Math.max(end, this.#row(location.segment).endBytes));
    if (block.number > (this.#greatest.get(block.group) ?? -1)) {
      this.#greatest.set(block.group, block.number);
      this.#dirtyGroups.add(block.group);
    }
    if (!isLive) return;
    this.remove(block);
    this.#count(location, 1);
    this.#dirty.set(block, location);
  }

  /** Everything of the segment before `endBytes` is known: records that were not added are dead. */
  setSegmentEnd(segment: number, endBytes: number): void {
    const row = this.#row(segment);
    this.#usedBytes += endBytes - row.endBytes;
    row.endBytes = endBytes;
    this.#dirtyRows.add(segment);
    this.#isDirty = true;
  }

  /** What is before `position` is known from now on. */
  advance(position: Position): void {
    this.#position = position;
    this.#isDirty = true;
  }

  /** Whether it was there. */
  remove(block: BlockId): boolean {
    const location = this.get(block);
    if (location === undefined) return false;
    this.#count(location, -1);
    this.#dirty.set(block, null);
    this.#isDirty = true;
    return true;
  }

  /** The segment is about to be unlinked: nothing in it is alive. */
  dropSegment(segment: number): void {
    const row = this.#row(segment);
    assert(row.liveBlocks === 0 && row.liveBytes === 0, `segment ${String(segment)} has live blocks`);
    this.#usedBytes -= row.endBytes;
    this.#rows.delete(segment);
    this.#dirtyRows.add(segment);
    this.#isDirty = true;
  }

  /** Makes all changes so far durable. Callers that come while a commit runs share the next one. */
  commit(): Promise<void> {
    if (!this.#isDirty && this.#queued === undefined) return this.#running;
    this.#queued ??= this.#running.then(() => {
      this.#queued = undefined;
      this.#running = this.#write();
      return this.#running;
    });
    return this.#queued;
  }

  async close(): Promise<void> {
    await this.#backend.close();
  }

  async #write(): Promise<void> {
    const changes: IndexChange[] = [];
    this.#committing = this.#dirty;
    this.#dirty = new IndexOverlay();
    for (const [block, location] of this.#committing.entries()) {
      const key = blockKey(block);
      changes.push([key, location === null ? null : encodeLocation(key, location)]);
    }
    for (const segment of this.#dirtyRows) {
      const key = segmentKey(segment);
      const row = this.#rows.get(segment);
      changes.push([key, row === undefined ? null : encodeSegment(key, row)]);
    }
    for (const group of this.#dirtyGroups) {
      const key = greatestKey(group);
      changes.push([key, encodeGreatest(key, this.#greatest.get(group) ?? 0)]);
    }
    changes.push([positionKey, encodePosition(this.#node, this.#position, this.#blocks)]);
    this.#dirtyRows.clear();
    this.#dirtyGroups.clear();
    this.#isDirty = false;
    await this.#backend.commit(changes);
    this.#committing = new IndexOverlay();
  }

  #addRow(row: SegmentRow): void {
    this.#rows.set(row.segment, { ...row });
    this.#usedBytes += row.endBytes;
    this.#liveBytes += row.liveBytes;
  }

  #row(segment: number): Row {
    const row = this.#rows.get(segment);
    assert(row !== undefined, `segment ${String(segment)} is not in the index`);
    return row;
  }

  #count(location: Location, by: 1 | -1): void {
    const row = this.#rows.get(location.segment);
    if (row === undefined) throw new IndexDamaged(`segment ${String(location.segment)} is not in the index`);
    const bytes = by * recordBytes(location.length);
    row.liveBytes += bytes;
    row.liveBlocks += by;
    this.#liveBytes += bytes;
    this.#blocks += by;
    this.#dirtyRows.add(location.segment);
    this.#isDirty = true;
  }
}

/** The smallest key above `key`. */
function after(key: Buffer): Buffer {
  return Buffer.concat([key, Buffer.alloc(1)]);
}
