/** discardBlocks: blocks that were written and are not to be named, because a commit was refused or given up. */
import { errnoOf } from "../../base/errno.ts";
import { queueForDeletion } from "./block-accounts.ts";
import { BlockClaims } from "./block-claims.ts";
import type { Method } from "./types.ts";

export const discardBlocks: Method<"discardBlocks"> = (context, { blocks }) => {
  const claims = new BlockClaims(context.transaction, context.session);
  const unnamed = blocks.filter((block) => {
    try {
      return claims.claim(block);
    } catch (error) {
      // Of a session before this one, whose numbers went with it.
      if (errnoOf(error) === "EINVAL") return false;
      throw error;
    }
  });
  claims.write(true);
  queueForDeletion(context, unnamed);
  return {};
};
