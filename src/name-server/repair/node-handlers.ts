/** What operators decide about storage nodes: drain, undrain, remove. */
import { FsError } from "../../base/errno.ts";
import type { NameServerMethods } from "../../protocol/name-server.ts";
import type { Handlers } from "../../rpc/types.ts";
import type { ClusterMaps } from "../cluster-map.ts";
import type { JournalService } from "../copies/service.ts";
import { requireRole } from "../handlers.ts";
import type { Nodes } from "../nodes.ts";
import { addressText, type StorageNode } from "../storage-node.ts";
import type { PeerMethods } from "../types.ts";

export type NodeHandlers = Pick<Handlers<NameServerMethods, PeerMethods>, "decideNode">;

export function createNodeHandlers(parts: {
  nodes: Nodes;
  maps: ClusterMaps;
  /** Absent: the journal is not copied. */
  journal: Pick<JournalService, "leftOut"> | undefined;
}): NodeHandlers {
  const { nodes, maps, journal } = parts;

  /** Of several that were at an address, the one that is there now, or was last. */
  function find(which: string): StorageNode {
    const all = nodes.all();
    const byId = all.find(({ id }) => id === which);
    if (byId !== undefined) return byId;
    const there = all.filter(({ record }) => addressText(record) === which && record.state !== "removed");
    const [found] = there.sort((a, b) => Number(a.record.out) - Number(b.record.out));
    if (found === undefined) throw new FsError("ENOENT", `there is no storage node ${which}: see dfs node list`);
    return found;
  }

  function requireUnneeded(node: StorageNode): void {
    const { state, out } = node.record;
    if (state !== "draining" && !out) {
      throw new FsError("EBUSY", `storage node ${node.id} is in use: drain it first (dfs node drain ${node.id})`);
    }
    const groups = maps.groups.filter((group) => group.nodes.includes(node.id)).length;
    if (groups === 0) return;
    throw new FsError(
      "EBUSY",
      `${String(groups)} groups still need storage node ${node.id}: wait until others have copied its blocks ` +
        "(dfs node list shows how many are left; there must be enough other nodes with space)",
    );
  }

  return {
    async decideNode({ node: which, decision }, context) {
      requireRole(context, "admin");
      const node = find(which);
      const { state } = node.record;
      if (state === "removed" && decision !== "remove") {
        throw new FsError(
          "ENOENT",
          `storage node ${node.id} was removed: start it with an empty folder, as a new node`,
        );
      }
      switch (decision) {
        case "drain":
          if (state !== "draining") await nodes.decide(node, { state: "draining" });
          break;
        case "undrain":
          if (state !== "member") await nodes.decide(node, { state: "member" });
          break;
        case "remove":
          if (state === "removed") break;
          requireUnneeded(node);
          await journal?.leftOut(node.id);
          // It may have been taken back meanwhile.
          requireUnneeded(node);
          await nodes.decide(node, { state: "removed" });
          break;
      }
      return {};
    },
  };
}
