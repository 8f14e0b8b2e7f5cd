/** Whose fault a failed block write is: pure. */
import { errnoOf } from "../base/errno.ts";
import { isNodeId, type NodeId } from "../base/ids.ts";
import { isConnectionError } from "./connect.ts";

export type WriteFailure =
  /** The node does not do its work: dead, cut off, or its disk fails. */
  | { readonly kind: "unreachable"; readonly node: NodeId }
  | { readonly kind: "full"; readonly node: NodeId }
  /** It says that it cannot now. */
  | { readonly kind: "busy"; readonly node: NodeId }
  /** The block was refused, for a reason that has to do with it rather than with a node. */
  | { readonly kind: "refused" };

/** How a node of the chain names the one behind it that failed: the word "failed" and the node's id. */
const named = /failed\W+(?:\w+\W+)?([0-9a-f]{16})\b/;

/** `members`: the group's nodes; the first one was written to. */
export function failureOf(error: unknown, members: readonly NodeId[]): WriteFailure {
  const first = members[0] as NodeId;
  if (isConnectionError(error)) return { kind: "unreachable", node: first };
  const word = error instanceof Error ? named.exec(error.message)?.[1] : undefined;
  const node = isNodeId(word) && members.includes(word) ? word : first;
  const errno = errnoOf(error);
  if (errno === "EIO") return { kind: "unreachable", node };
  if (errno === "ENOSPC") return { kind: "full", node };
  if (errno === "EAGAIN" || errno === "EBUSY") return { kind: "busy", node };
  return { kind: "refused" };
}
