/**
 * Who may order a node: the name server with which it is registered, over that connection. An order that comes while the
 * registration is under way waits for its outcome, so that a name server of another cluster or an older epoch, which may
 * ask for anything as soon as it is connected, gets nothing.
 */
import type { StorageNodeMethods } from "../protocol/storage-node.ts";
import type { HandlerContext, Handlers, MethodTable } from "../rpc/types.ts";

type NodeHandlers = Handlers<StorageNodeMethods, MethodTable>;

export function onlyWhenAccepted(handlers: NodeHandlers, accepted: (peer: object) => Promise<void>): NodeHandlers {
  async function wait({ peer, payload }: HandlerContext<MethodTable>): Promise<void> {
    try {
      await accepted(peer);
    } catch (error) {
      payload.release();
      throw error;
    }
  }
  return {
    ...handlers,
    deleteBlocks: async (request, context) => {
      await wait(context);
      return handlers.deleteBlocks(request, context);
    },
    copyBlocks: async (request, context) => {
      await wait(context);
      return handlers.copyBlocks(request, context);
    },
    listBlocks: async (request, context) => {
      await wait(context);
      return handlers.listBlocks(request, context);
    },
    composeBlock: async (request, context) => {
      await wait(context);
      return handlers.composeBlock(request, context);
    },
    checkBlocks: async (request, context) => {
      await wait(context);
      return handlers.checkBlocks(request, context);
    },
    scrubNow: async (request, context) => {
      await wait(context);
      return handlers.scrubNow(request, context);
    },
  };
}
