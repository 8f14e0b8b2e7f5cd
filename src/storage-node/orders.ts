/**
 * Who may order a node: the name server with which it is registered, over that connection. An order that comes while the
 * registration is under way waits for its outcome, so that a name server of another cluster or an older epoch, which may
 * ask for anything as soon as it is connected, gets nothing.
 *
 * Every other order waits for the deletions that came before it, also over an earlier connection: who is told that a block
 * is here may count on it, because no deletion that was ordered before is still to come. (A former member's blocks
 * are deleted while they are named, and it may become a member again at any time.)
 */
import type { StorageNodeMethods } from "../protocol/storage-node.ts";
import type { HandlerContext, Handlers, MethodTable } from "../rpc/types.ts";

type NodeHandlers = Handlers<StorageNodeMethods, MethodTable>;

export function onlyWhenAccepted(handlers: NodeHandlers, accepted: (peer: object) => Promise<void>): NodeHandlers {
  type Context = HandlerContext<MethodTable>;
  /** Under way. */
  const deletions = new Set<Promise<unknown>>();

  async function obey<Request, Reply>(
    handle: (request: Request, context: Context) => Reply,
    request: Request,
    context: Context,
  ): Promise<Awaited<Reply>> {
    try {
      await accepted(context.peer);
    } catch (error) {
      context.payload.release();
      throw error;
    }
    return await handle(request, context);
  }

  const order =
    <Request, Reply>(handle: (request: Request, context: Context) => Reply) =>
    async (request: Request, context: Context): Promise<Awaited<Reply>> => {
      await Promise.allSettled(deletions);
      return obey(handle, request, context);
    };

  const deletion =
    <Request, Reply>(handle: (request: Request, context: Context) => Reply) =>
    (request: Request, context: Context): Promise<Awaited<Reply>> => {
      const running = obey(handle, request, context).finally(() => deletions.delete(running));
      deletions.add(running);
      return running;
    };

  return {
    ...handlers,
    deleteBlocks: deletion(handlers.deleteBlocks),
    copyBlocks: order(handlers.copyBlocks),
    listBlocks: order(handlers.listBlocks),
    composeBlock: order(handlers.composeBlock),
    checkBlocks: order(handlers.checkBlocks),
    scrubNow: order(handlers.scrubNow),
  };
}
