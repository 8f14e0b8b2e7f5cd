/** What the name server orders of a node's scrub. */
import { FsError } from "../base/errno.ts";
import type { NodeIdentity } from "../block-store/identity.ts";
import type { StorageNodeMethods } from "../protocol/storage-node.ts";
import type { Handlers, MethodTable } from "../rpc/types.ts";
import type { Scrub } from "./scrub.ts";

type ScrubHandlers = Pick<Handlers<StorageNodeMethods, MethodTable>, "checkBlocks" | "scrubNow">;

export function scrubHandlers(parts: {
  readonly identity: NodeIdentity;
  readonly scrub: Scrub | undefined;
}): ScrubHandlers {
  const obeying = async (epoch: number): Promise<Scrub> => {
    await parts.identity.obey(epoch);
    if (parts.scrub === undefined) throw new FsError("EOPNOTSUPP", "this node does not scrub");
    return parts.scrub;
  };
  return {
    checkBlocks: async ({ epoch, blocks }) => (await obeying(epoch)).check(blocks),
    scrubNow: async ({ epoch }) => ({ ordered: await (await obeying(epoch)).order() }),
  };
}
