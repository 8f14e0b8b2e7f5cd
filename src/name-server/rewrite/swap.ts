/**
 * The transaction that puts a new block in the place of what its pieces were copied from. It looks at everything again: an
 * extent is changed only if it still names the very bytes that were copied. A block that gets no place is deleted.
 */
import { blockName, type BlockId, type Ino, type SessionId } from "../../base/ids.ts";
import { assert } from "../../base/assert.ts";
import { keys } from "../../metadata-store/keys.ts";
import { encodePack } from "../../metadata-store/records.ts";
import type { Extent } from "../../protocol/types.ts";
import { joinExtents } from "../../protocol/extents.ts";
import { BlockAccounts, queueForDeletion } from "../namespace/block-accounts.ts";
import { BlockClaims, requireEpochs } from "../namespace/block-claims.ts";
import { dropExtent, endOf, extentsIn, inlineBytes, putExtent, type StoredExtent } from "../namespace/content.ts";
import type { OperationContext } from "../namespace/context.ts";
import type { Placed } from "./types.ts";

/**
 * To whom the block numbers of rewriting belong: a session that nobody can have. Not among the sessions, so that a start
 * of the server gives up what an earlier one had not named, as it does for sessions that ended.
 */
export const rewriteOwner = "0000000000000001" as SessionId;

export interface Composed {
  readonly block: BlockId;
  /** Of its group when it was written. */
  readonly epoch: number;
  readonly pieces: readonly Placed[];
}

/** More changes than this are not begun in one transaction. */
const keysMax = 3_000;

/** Returns the bytes that have a new place. ESTALE: the group has other members now; nothing was changed. */
export function swapExtents(context: OperationContext, { block, epoch, pieces }: Composed): number {
  const { transaction } = context;
  const accounts = new BlockAccounts(context);
  const claims = new BlockClaims(transaction, rewriteOwner);
  const sample: Extent = { kind: "block", offset: 0, length: 1, block, blockOffset: 0 };
  requireEpochs(transaction, [sample], [{ group: block.group, epoch }]);
  assert(claims.claim(block), `block ${blockName(block)} is new`);
  const contents = new Set<Ino>();
  let swapped = 0;
  let pending: { content: Ino; extent: Extent } | undefined;
  const put = (): void => {
    if (pending === undefined) return;
    putExtent(transaction, pending.content, pending.extent, accounts);
    contents.add(pending.content);
    pending = undefined;
  };
  for (const piece of pieces) {
    if (transaction.keys > keysMax) break;
    for (const stored of unchanged(context, piece)) {
      dropExtent(transaction, piece.content, stored, accounts);
      const { offset, record } = stored;
      const blockOffset = piece.at + offset - piece.offset;
      const extent: Extent = { kind: "block", offset, length: record.length, block, blockOffset };
      const joined = pending?.content === piece.content ? joinExtents(pending.extent, extent) : undefined;
      if (joined === undefined) put();
      pending = { content: piece.content, extent: joined ?? extent };
      swapped += record.length;
    }
  }
  put();
  if (contents.size > 1) {
    accounts.hasManyOwners(block);
    transaction.put(keys.pack(block), encodePack({ contents: [...contents] }));
  }
  if (swapped === 0) queueForDeletion(context, [block]);
  claims.write(true);
  accounts.write();
  return swapped;
}

/** Of the place's stretch what still is as it was. */
function unchanged({ transaction }: OperationContext, piece: Placed): StoredExtent[] {
  const { content, offset, record, inline } = piece;
  const end = offset + record.length;
  return extentsIn(transaction, content, offset, end).filter((stored) => {
    if (stored.offset < offset || endOf(stored) > end) return false;
    if (record.kind === "inline") {
      const isSame = stored.record.kind === "inline" && stored.offset === offset && endOf(stored) === end;
      return isSame && inline !== undefined && inlineBytes(transaction, content, offset).equals(inline);
    }
    if (stored.record.kind === "inline") return false;
    const { block, blockOffset } = stored.record;
    const isSame = block.group === record.block.group && block.number === record.block.number;
    return isSame && blockOffset - stored.offset === record.blockOffset - offset;
  });
}

/** The block was written, perhaps, and gets no place. */
export function discardComposed(context: OperationContext, block: BlockId): void {
  const claims = new BlockClaims(context.transaction, rewriteOwner);
  if (!claims.claim(block)) return;
  claims.write(true);
  queueForDeletion(context, [block]);
}
