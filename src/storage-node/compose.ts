/**
 * Puts the content of a block together from pieces of others: stretches of blocks that are here or at other nodes, each
 * read once and verified, and bytes that came with the order. A piece whose copy here is damaged or gone comes from a source.
 */
import type { BufferPool } from "../base/buffer-pool.ts";
import { checksum, firstBadUnit } from "../base/checksum.ts";
import { errnoOf, FsError } from "../base/errno.ts";
import { blockName, type BlockId } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import type { BlockStore } from "../block-store/types.ts";
import type { StorageNodeMethods } from "../protocol/storage-node.ts";
import type { RequestOf } from "../rpc/types.ts";
import type { ChainMember, Neighbours } from "./neighbours.ts";

type Compose = RequestOf<StorageNodeMethods, "composeBlock">;

interface Parts {
  readonly store: BlockStore;
  readonly neighbours: Neighbours;
  readonly pool: BufferPool;
}

/** How long a source may take. */
const readMillis = 10_000;

/** Where in the new block stretches of one other go. */
interface Source {
  readonly block: BlockId;
  readonly stretches: { readonly at: number; readonly offset: number; readonly length: number }[];
  /** What covers them all. */
  start: number;
  end: number;
}

/** The bytes of the block, of the pool: the caller gives them back. Borrows `inline`. */
export async function composeContent(parts: Parts, order: Compose, inline: Buffer): Promise<Buffer> {
  if (checksum(inline) !== order.inlineChecksum)
    throw new FsError("EBADMSG", `block ${blockName(order.block)}: inline bytes were damaged on their way`);
  const into = parts.pool.take(order.length);
  try {
    for (const source of placePieces(order, inline, into)) await copyFrom(parts, order, source, into);
    return into;
  } catch (error) {
    parts.pool.give(into);
    throw error;
  }
}

/** Copies what is inline; returns what is to be read, by block. */
function placePieces({ block, length, pieces }: Compose, inline: Buffer, into: Buffer): Iterable<Source> {
  const sources = new Map<string, Source>();
  let at = 0;
  let taken = 0;
  for (const piece of pieces) {
    const end = at + piece.length;
    if (end > length) break;
    if (piece.kind === "inline") taken += inline.copy(into, at, taken, taken + piece.length);
    else {
      const { offset } = piece;
      const name = blockName(piece.block);
      let source = sources.get(name);
      if (source === undefined)
        sources.set(name, (source = { block: piece.block, stretches: [], start: offset, end: 0 }));
      source.stretches.push({ at, offset, length: piece.length });
      source.start = Math.min(source.start, offset);
      source.end = Math.max(source.end, offset + piece.length);
    }
    at = end;
  }
  if (at !== length || taken !== inline.length)
    throw new FsError("EINVAL", `block ${blockName(block)}: its pieces are not as long as it is`);
  return sources.values();
}

async function copyFrom(parts: Parts, order: Compose, source: Source, into: Buffer): Promise<void> {
  const { block, start, end } = source;
  const failures: unknown[] = [];
  const copy = (bytes: Buffer, first: number): void => {
    for (const { at, offset, length } of source.stretches)
      bytes.copy(into, at, offset - first, offset - first + length);
  };
  try {
    const { store, pool } = parts;
    let memory: Buffer | undefined;
    try {
      const take = (size: number): Buffer => (memory = pool.take(size));
      const found = await store.get(block, start, end - start, take);
      requireRight(source, found);
      copy(found.bytes, found.start);
    } finally {
      if (memory !== undefined) pool.give(memory);
    }
    return;
  } catch (error) {
    failures.push(error);
  }
  for (const member of sourcesOf(order, block)) {
    try {
      const request = { block, offset: start, length: end - start };
      const { reply, payload } = await parts.neighbours.ask(member, (peer) =>
        peer.call("readBlock", request, { deadlineMillis: readMillis }),
      );
      try {
        requireRight(source, { ...reply, bytes: payload.bytes });
        copy(payload.bytes, reply.start);
      } finally {
        payload.release();
      }
      return;
    } catch (error) {
      failures.push(error);
    }
  }
  const isGone = failures.every((error) => errnoOf(error) === "ENOENT");
  const cause = failures.find((error) => errnoOf(error) !== "ENOENT") ?? failures[0];
  throw new FsError(isGone ? "ENOENT" : "EIO", `block ${blockName(block)} cannot be read anywhere`, { cause });
}

function sourcesOf({ sources }: Compose, { group }: BlockId): readonly ChainMember[] {
  return sources.find((each) => each.group === group)?.nodes ?? [];
}

function requireRight({ block, end }: Source, found: { start: number; bytes: Buffer; checksums: Buffer }): void {
  const { start, bytes, checksums } = found;
  const isWhole = start + bytes.length >= end && start % limits.checksumUnitBytes === 0;
  if (isWhole && firstBadUnit(block, bytes, checksums, start / limits.checksumUnitBytes) === -1) return;
  throw new FsError(
    "EBADMSG",
    `block ${blockName(block)}: ${isWhole ? "a checksum does not match" : "it is too short"}`,
  );
}
