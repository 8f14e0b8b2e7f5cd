/** setReplicas and getReplicas: how many copies the content of files is to have, and has. */
import type { GroupId, Ino } from "../../base/ids.ts";
import { keys } from "../../metadata-store/keys.ts";
import { replicasOfInode, type InodeRecord } from "../../metadata-store/records.ts";
import type { NameServerMethods } from "../../protocol/name-server.ts";
import type { Handlers, ReplyOf } from "../../rpc/types.ts";
import type { ClusterMaps } from "../cluster-map.ts";
import { changingHandler, type NamespaceHandlerParts } from "../namespace-handlers.ts";
import { extentsFrom } from "../namespace/content.ts";
import type { Transaction } from "../namespace/index.ts";
import { readInode } from "../namespace/inodes.ts";
import type { Nodes } from "../nodes.ts";
import { placeableNodes } from "../placement.ts";
import type { PeerMethods } from "../types.ts";

export type ReplicaHandlers = Pick<Handlers<NameServerMethods, PeerMethods>, "setReplicas" | "getReplicas">;

export interface ReplicaHandlerParts extends NamespaceHandlerParts {
  readonly maps: ClusterMaps;
  readonly nodes: Nodes;
  /** The cluster's default. */
  readonly replicas: number;
}

type Found = ReplyOf<NameServerMethods, "getReplicas">;

/** Extents that one reply sums up. */
const extentsPerReply = 4_096;

export function createReplicaHandlers(parts: ReplicaHandlerParts): ReplicaHandlers {
  const { sessions, execution, maps, nodes, replicas } = parts;
  const change = changingHandler(parts, "setReplicas");

  function presentIn(group: GroupId): number {
    const known = maps.group(group);
    if (known === undefined) return 0;
    return known.nodes.filter((id) => nodes.get(id)?.state === "up" && !known.copying.includes(id)).length;
  }

  function partsOf(
    transaction: Transaction,
    record: InodeRecord,
    offset: number,
  ): Pick<Found, "parts" | "inlineBytes" | "next"> {
    const bytesOf = new Map<string, Found["parts"][number]>();
    let inlineBytes = 0;
    const found = extentsFrom(transaction, record.content, offset, Number.MAX_SAFE_INTEGER, extentsPerReply);
    for (const { record: extent } of found) {
      if (extent.kind === "inline") {
        inlineBytes += extent.length;
        continue;
      }
      const { group } = extent.block;
      const part = { copies: maps.replicasOf(group) ?? replicas, present: presentIn(group), bytes: 0 };
      const known = bytesOf.get(`${String(part.copies)}/${String(part.present)}`) ?? part;
      known.bytes += extent.length;
      bytesOf.set(`${String(part.copies)}/${String(part.present)}`, known);
    }
    const last = found.at(-1);
    const next = last === undefined || found.length < extentsPerReply ? null : last.offset + 1;
    return { parts: [...bytesOf.values()], inlineBytes, next };
  }

  function isQueued(transaction: Transaction, ino: Ino): boolean {
    const kinds = ["file", "tree"] as const;
    return kinds.some((kind) => transaction.get(keys.conversion(kind, ino)) !== undefined);
  }

  return {
    async setReplicas(request, context) {
      sessions.of(context.peer);
      // Before anything is promised: groups are made when they are first needed.
      await maps.require(request.replicas, placeableNodes(nodes.all()));
      return change(request, context);
    },

    getReplicas({ ino, offset }, { peer }) {
      sessions.of(peer);
      return execution.read((transaction) => {
        const record = readInode(transaction, ino);
        const own = replicasOfInode(record);
        const content =
          record.bytesUsed === 0 ? { parts: [], inlineBytes: 0, next: null } : partsOf(transaction, record, offset);
        return {
          wanted: own ?? replicas,
          isOwn: own !== undefined,
          isConverting: isQueued(transaction, ino),
          ...content,
        };
      });
    },
  };
}
