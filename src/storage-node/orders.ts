/**
 * Who may order a node: the name server with which it is registered, over that connection. An order that comes while the
 * registration is under way waits for its outcome, so that a name server of another cluster or an older epoch, which may
 * ask for anything as soon as it is connected, gets nothing.
 */
import type { StorageNodeMethods } from "../protocol/storage-node.ts";
import type { HandlerContext, Handlers, MethodTable } from "../rpc/types.ts";

type NodeHandlers = Handlers<StorageNodeMethods, MethodTable>;

export function onlyWhenAccepted(handlers: NodeHandlers, accepted: (peer: object) => Promise<void>): NodeHandlers {
  type Context = HandlerContext<MethodTable>;
  const order =
    <Request, Reply>(handle: (request: Request, context: Context) => Reply) =>
    async (request: Request, context: Context): Promise<Awaited<Reply>> => {
      try {
        await accepted(context.peer);
      } catch (error) {
        context.payload.release();
        throw error;
      }
      return await handle(request, context);
    };
  return {
    ...handlers,
    deleteBlocks: order(handlers.deleteBlocks),
    copyBlocks: order(handlers.copyBlocks),
    listBlocks: order(handlers.listBlocks),
    composeBlock: order(handlers.composeBlock),
    checkBlocks: order(handlers.checkBlocks),
    scrubNow: order(handlers.scrubNow),
  };
}
