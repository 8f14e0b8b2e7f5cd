/**
 * Clean content: parts of blocks that were read, least recently used ones dropped first. Blocks are immutable, so what
 * is here is right for ever.
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
}

interface Region {
  readonly fragments: readonly Fragment[];
}

interface Fetch {
  readonly from: number;
  readonly to: number;
  readonly bytes: Promise<Buffer>;
}

export const regionBytes = 1024 * 1024;
const unit = limits.checksumUnitBytes;
/** What a region costs beside its bytes. */
const regionCharge = 256;

export class BlockCache {
  readonly budget: ByteBudget;
  readonly #reader: BlockReader;
  readonly #regions: LRUCache<string, Region>;
  readonly #fetches = new Map<string, Fetch[]>();

  constructor(reader: BlockReader, bytesMax: number) {
    this.#reader = reader;
    const inFlight = Math.floor(bytesMax / 4);
    this.budget = new ByteBudget(inFlight);
    this.#regions = new LRUCache({ maxSize: Math.max(1, bytesMax - inFlight) });
  }

  get bytes(): number {
    return this.#regions.calculatedSize + this.budget.inUse;
  }

  /** The bytes, if all of them are here: appended to `into` in order (borrowed, never changed). */
  find(part: BlockPart, into: Uint8Array[]): boolean {
    const region = this.#regions.get(regionKey(part));
    if (region === undefined) return false;
    const { fragments } = region;
    const first = firstEndingAfter(fragments, part.from);
    let position = part.from;
    for (let i = first; position < part.to; i++) {
      const fragment = fragments[i];
      if (fragment === undefined || fragment.offset > position) return false;
      position = endOf(fragment);
    }
    position = part.from;
    for (let i = first; position < part.to; i++) {
      const fragment = fragments[i];
      if (fragment === undefined) return false;
      const to = Math.min(endOf(fragment), part.to);
      into.push(view(fragment, position, to));
      position = to;
    }
    return true;
  }

  /** Fetches the bytes. `whole`: with all that the extent has of the region, for a sequential reader. */
  async fetch(part: BlockPart, whole: boolean): Promise<Uint8Array[]> {
    const found: Uint8Array[] = [];
    if (this.find(part, found)) return found;
    const { from, bytes } = this.#coming(part) ?? this.#start(part, whole);
    const content = await bytes;
    return [content.subarray(part.from - from, part.to - from)];
  }

  /** Starts fetching for later; false: too much is on its way already. A failure shows when the bytes are wanted. */
  prefetch(part: BlockPart): boolean {
    if (this.#coming(part) !== undefined || this.find(part, [])) return true;
    const wanted = span(part, true);
    if (!this.budget.tryTake(wanted.to - wanted.from)) return false;
    this.#launch(part, wanted, undefined).bytes.catch(() => undefined);
    return true;
  }

  clear(): void {
    this.#regions.clear();
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
    const fetch: Fetch = { from, to, bytes: this.#read(part.block, key, { from, to }, room) };
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
    { from, to }: { from: number; to: number },
    room: Promise<void> | undefined,
  ): Promise<Buffer> {
    if (room !== undefined) await room;
    try {
      const bytes = await this.#reader.read(block, from, to - from);
      if (bytes.length !== to - from) {
        throw new FsError("EIO", `block ${blockName(block)} has no ${String(to - from)} bytes at ${String(from)}`);
      }
      const own = bytes.buffer.byteLength > 2 * bytes.length + unit ? Buffer.from(bytes) : bytes;
      this.#keep(key, { offset: from, length: own.length, bytes: own });
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
      const bytes = isWhole ? fresh.bytes : Buffer.from(view(fresh, from, to));
      kept.splice(overlapsLeft ? at + 1 : at, 0, { offset: from, length: to - from, bytes });
    }
    const bytes = kept.reduce((sum, fragment) => sum + fragment.length, 0);
    this.#regions.set(key, { fragments: kept }, { size: bytes + regionCharge });
  }
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

function regionKey({ block, from }: BlockPart): string {
  return `${String(block.group)}/${String(block.number)}/${String(Math.floor(from / regionBytes))}`;
}
