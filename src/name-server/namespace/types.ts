/** The shape of the namespace's operations: one for each method of `protocol/name-server.ts`. */
import type { NameServerMethods } from "../../protocol/name-server.ts";
import type { ReplyOf, RequestOf } from "../../rpc/types.ts";
import type { OperationContext } from "./context.ts";

export type Request<M extends keyof NameServerMethods> = RequestOf<NameServerMethods, M>;
export type Reply<M extends keyof NameServerMethods> = ReplyOf<NameServerMethods, M>;
/** Changes the context's transaction; throws FsError, after which the transaction is to be dropped. */
export type Method<M extends keyof NameServerMethods> = (context: OperationContext, request: Request<M>) => Reply<M>;
