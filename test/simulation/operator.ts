/** Who asks the cluster how it is: `dfs fsck`, without its command line. */
import type { Found } from "../../src/protocol/check-methods.ts";
import { nameServerMethods } from "../../src/protocol/name-server.ts";
import { connectPeer } from "../../src/rpc/open.ts";
import { Machine } from "./machine.ts";
import { nameServerAddress, surroundingsOf } from "./servers.ts";
import type { World } from "./world.ts";

/** What a check finds; rejects when there can be none. */
export async function fsck(world: World): Promise<readonly Found[]> {
  const machine = new Machine({ events: world.events, host: "operator", seed: 1, skewMillis: 0 });
  const peer = await connectPeer(surroundingsOf(machine, world.network), {
    address: nameServerAddress,
    hello: { role: "admin", id: "simulation" },
    ownTable: {},
    handlers: {},
    remoteTable: nameServerMethods,
  });
  const found: Found[] = [];
  await peer.call("fsckStart", { repair: false, data: true, path: [] });
  for (;;) {
    const { reply } = await peer.call("fsckNext", {});
    found.push(...reply.found);
    if (reply.end === null) continue;
    peer.close("it is checked");
    return found;
  }
}
