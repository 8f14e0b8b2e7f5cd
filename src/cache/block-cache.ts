/**
 * Clean content: parts of blocks that were read or written here, least recently used ones dropped first. Blocks are
 * immutable, so what is here is right for ever.
 *
 * Kept per region (1 MiB, aligned, of a block), as fragments: a sequential reader fetches what its extent has of a
 * region in one piece, a random one only the units of 4 KiB that it needs (which costs the network no more). Regions
 * are dropped whole. A wish that a fetch on its way covers joins it.
 * Invariants: fragments of a region are in order and do not overlap; cached and fetched bytes together stay below
 * the bound: three quarters for the cache, a quarter for what is on its way.
 */
import { LRUCache } from "lru-cache";
import { FsError } from "../base/errno.ts";
import { blockName, type BlockId } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import type { BlockReader } from "../remote/types.ts";
import { ByteBudget } from "./byte-budget.ts";
import { firstEndingAfter } from "./interval-search.ts";
import { LentBytes } from "./lent-bytes.ts";

/** Bytes [from, to) of a block, within one region; [first, last) is what the file's extent has around it. */
export interface BlockPart {
  readonly block: BlockId;
  readonly from: number;
  readonly to: number;
  readonly first: number;
  readonly last: number;
}

interface Fragment {
  readonly offset: number;
  readonly length: number;
  readonly bytes: Buffer;
  /** Undefined: memory of its own. */
  readonly lent: LentBytes | undefined;
}

/** Bytes of a part in order, never changed, and what they lie in: held for the reader, who lets go of each. */
export interface Found {
  readonly pieces: Uint8Array[];
  readonly held: LentBytes[];
}

interface Region {
  readonly fragments: readonly Fragment[];
}

interface Fetch {
  readonly from: number;
  readonly to: number;
  readonly bytes: Promise<Buffer>;
  readonly lent: LentBytes;
}

export const regionBytes = 1024 * 1024;
const unit = limits.checksumUnitBytes;
/** What a region costs beside its bytes. */
const regionCharge = 256;
/** Shorter ones are not worth giving back. */
const lentBytesMin = 32 * 1024;
/** Blocks up to this size stay when they have been written. */
const writtenBytesMax = 128 * 1024;

export class BlockCache {
  readonly budget: ByteBudget;
  readonly #reader: BlockReader;
  readonly #regions: LRUCache<string, Region>;
  readonly #fetches = new Map<string, Fetch[]>();

  constructor(reader: BlockReader, bytesMax: number) {
    this.#reader = reader;
    const inFlight = Math.floor(bytesMax / 4);
    this.budget = new ByteBudget(inFlight);
    this.#regions = new LRUCache({
      maxSize: Math.max(1, bytesMax - inFlight),
      dispose: ({ fragments }, _key, reason) => {
        // What replaces a region has its fragments, or has dropped them.
        if (reason !== "set") for (const { lent } of fragments) lent?.dropped();
      },
    });
  }

  get bytes(): number {
    return this.#regions.calculatedSize + this.budget.inUse;
  }

  /** The bytes, if all of them are here. */
  find(part: BlockPart): Found | undefined {
    const region = this.#regions.get(regionKey(part));
    if (region === undefined) return undefined;
    const found: Found = { pieces: [], held: [] };
    let position = part.from;
    for (const fragment of covering(region, part)) {
      const to = Math.min(endOf(fragment), part.to);
      found.pieces.push(view(fragment, position, to));
      position = to;
      if (fragment.lent === undefined) continue;
      fragment.lent.hold();
      found.held.push(fragment.lent);
    }
    return position < part.to ? undefined : found;
  }

  /** Fetches the bytes. `whole`: with all that the extent has of the region, for a sequential reader. */
  async fetch(part: BlockPart, whole: boolean): Promise<Found> {
    const found = this.find(part);
    if (found !== undefined) return found;
    const { from, bytes, lent } = this.#coming(part) ?? this.#start(part, whole);
    lent.hold();
    try {
      const content = await bytes;
      return { pieces: [content.subarray(part.from - from, part.to - from)], held: [lent] };
    } catch (error) {
      lent.letGo();
      throw error;
    }
  }

  /** Starts fetching for later; false: too much is on its way already. A failure shows when the bytes are wanted. */
  prefetch(part: BlockPart): boolean {
    if (this.#coming(part) !== undefined || this.#has(part)) return true;
    const wanted = span(part, true);
    if (!this.budget.tryTake(wanted.to - wanted.from)) return false;
    this.#launch(part, wanted, undefined).bytes.catch(() => undefined);
    return true;
  }

  /**
   * This client has written the block: a copy of it stays if it is small, of a larger one its last unit if that is not
   * whole. (The kernel keeps whole pages of what is written, and asks for the last one of nearly every file.)
   */
  written(block: BlockId, payload: readonly Uint8Array[]): void {
    const length = payload.reduce((sum, bytes) => sum + bytes.length, 0);
    const offset = length <= writtenBytesMax ? 0 : Math.floor(length / unit) * unit;
    if (offset === length) return;
    const bytes = offset === 0 ? Buffer.concat(payload, length) : lastOf(payload, length - offset);
    this.#keep(regionKey({ block, from: offset }), { offset, length: bytes.length, bytes, lent: undefined });
  }

  clear(): void {
    this.#regions.clear();
  }

  #has(part: BlockPart): boolean {
    const region = this.#regions.get(regionKey(part));
    return region !== undefined && covering(region, part).length > 0;
  }

  #coming(part: BlockPart): Fetch | undefined {
    return this.#fetches.get(regionKey(part))?.find((fetch) => fetch.from <= part.from && fetch.to >= part.to);
  }

  #start(part: BlockPart, whole: boolean): Fetch {
    const wanted = span(part, whole);
    return this.#launch(part, wanted, this.budget.take(wanted.to - wanted.from));
  }

  /** `room`: settles when the budget has been taken; undefined: it has. */
  #launch(part: BlockPart, { from, to }: { from: number; to: number }, room: Promise<void> | undefined): Fetch {
    const key = regionKey(part);
    const lent = new LentBytes();
    const fetch: Fetch = { from, to, bytes: this.#read(part.block, key, { from, to, lent }, room), lent };
    const fetches = this.#fetches.get(key);
    if (fetches === undefined) this.#fetches.set(key, [fetch]);
    else fetches.push(fetch);
    const done = (): void => {
      const rest = (this.#fetches.get(key) ?? []).filter((other) => other !== fetch);
      if (rest.length === 0) this.#fetches.delete(key);
      else this.#fetches.set(key, rest);
    };
    fetch.bytes.then(done, done);
    return fetch;
  }

  async #read(
    block: BlockId,
    key: string,
    { from, to, lent }: { from: number; to: number; lent: LentBytes },
    room: Promise<void> | undefined,
  ): Promise<Buffer> {
    if (room !== undefined) await room;
    try {
      const payload = await this.#reader.lend(block, from, to - from);
      const { bytes } = payload;
      if (bytes.length !== to - from) {
        throw new FsError("EIO", `block ${blockName(block)} has no ${String(to - from)} bytes at ${String(from)}`);
      }
      const isTight = bytes.buffer.byteLength <= 2 * bytes.length + unit;
      const fragment = { offset: from, length: bytes.length };
      if (bytes.length >= lentBytesMin && isTight) {
        this.#keep(key, { ...fragment, bytes, lent });
        lent.arrived(payload);
        return bytes;
      }
      const own = isTight ? bytes : Buffer.from(bytes);
      this.#keep(key, { ...fragment, bytes: own, lent: undefined });
      return own;
    } finally {
      this.budget.give(to - from);
    }
  }

  /** Adds a fragment in the place of those that it covers; where it overlaps others at its ends, they stay. */
  #keep(key: string, fresh: Fragment): void {
    const end = endOf(fresh);
    const present = this.#regions.peek(key)?.fragments ?? [];
    const kept = present.filter((fragment) => fragment.offset < fresh.offset || endOf(fragment) > end);
    const at = firstEndingAfter(kept, fresh.offset);
    const left = kept[at];
    const overlapsLeft = left !== undefined && left.offset < fresh.offset;
    const from = overlapsLeft ? endOf(left) : fresh.offset;
    const to = Math.min(kept[overlapsLeft ? at + 1 : at]?.offset ?? end, end);
    if (from < to) {
      const isWhole = from === fresh.offset && to === end;
      const own = isWhole ? fresh : { bytes: Buffer.from(view(fresh, from, to)), lent: undefined };
      kept.splice(overlapsLeft ? at + 1 : at, 0, { ...own, offset: from, length: to - from });
    }
    for (const fragment of [...present, fresh])
      if (!kept.some(({ bytes }) => bytes === fragment.bytes)) fragment.lent?.dropped();
    const bytes = kept.reduce((sum, fragment) => sum + fragment.length, 0);
    const region: Region = { fragments: kept };
    this.#regions.set(key, region, { size: bytes + regionCharge });
    // Larger than the whole cache: it did not take it.
    if (this.#regions.peek(key) !== region) for (const { lent } of kept) lent?.dropped();
  }
}

/** The fragments that together have all of the part, in order; none if something is missing. */
function covering({ fragments }: Region, part: BlockPart): Fragment[] {
  const found: Fragment[] = [];
  let position = part.from;
  for (let i = firstEndingAfter(fragments, part.from); position < part.to; i++) {
    const fragment = fragments[i];
    if (fragment === undefined || fragment.offset > position) return [];
    found.push(fragment);
    position = endOf(fragment);
  }
  return found;
}

function endOf(fragment: Fragment): number {
  return fragment.offset + fragment.length;
}

function view({ offset, bytes }: Fragment, from: number, to: number): Buffer {
  return bytes.subarray(from - offset, to - offset);
}

/** What to fetch for a part: whole units as far as the extent has them, or all that it has of the region. */
function span(part: BlockPart, whole: boolean): { from: number; to: number } {
  const start = Math.floor(part.from / regionBytes) * regionBytes;
  if (whole) return { from: Math.max(start, part.first), to: Math.min(start + regionBytes, part.last) };
  return { from: Math.floor(part.from / unit) * unit, to: Math.min(Math.ceil(part.to / unit) * unit, part.last) };
}

function lastOf(payload: readonly Uint8Array[], length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let at = length, i = payload.length - 1; at > 0; i--) {
    const piece = payload[i]?.subarray(-at) ?? bytes;
    at -= piece.length;
    bytes.set(piece, at);
  }
  return bytes;
}

function regionKey({ block, from }: Pick<BlockPart, "block" | "from">): string {
  return `${String(block.group)}/${String(block.number)}/${String(Math.floor(from / regionBytes))}`;
}
