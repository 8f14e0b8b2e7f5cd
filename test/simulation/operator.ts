/** Who asks the cluster how it is, and decides about it: what `dfs fsck`, `dfs scrub`, ... do, without their command lines. */
import { FsError } from "../../src/base/errno.ts";
import type { Found } from "../../src/protocol/check-methods.ts";
import { nameServerMethods, type NameServerMethods } from "../../src/protocol/name-server.ts";
import { connectPeer } from "../../src/rpc/open.ts";
import type { Peer } from "../../src/rpc/types.ts";
import { Machine } from "./machine.ts";
import { nameServerAddress, surroundingsOf } from "./servers.ts";
import type { World } from "./world.ts";

/** Over a connection of its own; rejects when there can be none. */
export async function asOperator<T>(world: World, ask: (peer: Peer<NameServerMethods>) => Promise<T>): Promise<T> {
  const machine = new Machine({
    events: world.events,
    host: "operator",
    seed: world.random.below(2 ** 32),
    skewMillis: 0,
  });
  const peer = await connectPeer(surroundingsOf(machine, world.network), {
    address: nameServerAddress,
    hello: { role: "admin", id: "simulation" },
    ownTable: {},
    handlers: {},
    remoteTable: nameServerMethods,
  });
  try {
    return await ask(peer);
  } finally {
    peer.close("done");
  }
}

/** What a check finds. */
export function fsck(world: World): Promise<readonly Found[]> {
  return asOperator(world, async (peer) => {
    const found: Found[] = [];
    await peer.call("fsckStart", { repair: false, data: true, path: [] });
    for (;;) {
      const { reply } = await peer.call("fsckNext", {});
      found.push(...reply.found);
      if (reply.end !== null) return found;
    }
  });
}

/** Has every storage node read everything; the number that its `orderedDone` reaches when it has, by node. */
export function orderScrub(world: World): Promise<ReadonlyMap<string, number>> {
  return asOperator(world, async (peer) => {
    const { nodes } = (await peer.call("scrubAll", {})).reply;
    const ordered = nodes.filter((node) => node.ordered !== null);
    if (ordered.length === 0) throw new FsError("EAGAIN", nodes.map(({ problem }) => problem).join("; "));
    return new Map(ordered.map((node) => [node.node, node.ordered ?? 0]));
  });
}
