/** Who asks the cluster how it is, and decides about it: what `dfs fsck`, `dfs scrub`, ... do, without their command lines. */
import { FsError } from "../../src/base/errno.ts";
import { nameFromText } from "../../src/base/name.ts";
import type { Found } from "../../src/protocol/check-methods.ts";
import { nameServerMethods } from "../../src/protocol/name-server.ts";
import { connectInPassing, inSession, resolveNames, type Server } from "../../src/remote/passing-client.ts";
import { connectPeer, type Surroundings } from "../../src/rpc/open.ts";
import { Machine } from "./machine.ts";
import { namePort, surroundingsOf } from "./servers.ts";
import type { World } from "./world.ts";

/** Over a connection of its own; rejects when there can be none. */
export async function asOperator<T>(world: World, ask: (server: Server) => Promise<T>): Promise<T> {
  const peer = await connectPeer(surroundings(world), {
    address: { host: world.nameServer, port: namePort },
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

/** What is at a path, or is made below it, is to have so many copies. */
export async function setReplicas(world: World, path: string, replicas: number): Promise<void> {
  const address = { host: world.nameServer, port: namePort };
  const server = await connectInPassing(surroundings(world), { addresses: [address], id: "replicas" });
  const names = path.split("/").filter((part) => part !== "");
  await inSession(server, "operator", async () => {
    const ino = await resolveNames(server, names.map(nameFromText));
    await server.call("setReplicas", { op: { slot: 0, sequence: 1 }, caller: { uid: 0, gid: 0 }, ino, replicas });
  });
}

function surroundings(world: World): Surroundings {
  const seed = world.random.below(2 ** 32);
  const machine = new Machine({ events: world.events, host: "operator", seed, skewMillis: 0 });
  return surroundingsOf(machine, world.network);
}
