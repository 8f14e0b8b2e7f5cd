/** `dfs dump`: all metadata of a name server as lines of JSON, to standard output. */
import { once } from "node:events";
import { silentLog } from "../base/log.ts";
import { nameServerMethods } from "../protocol/name-server.ts";
import { connectPeer } from "../rpc/open.ts";
import type { Address } from "../rpc/types.ts";
import { CommandFailure } from "./failure.ts";
import { createSurroundings } from "./surroundings.ts";
import { formatAddress } from "./usage.ts";

export async function runDump(address: Address, secretFile: string | undefined): Promise<void> {
  const surroundings = createSurroundings(silentLog, { secretFile });
  try {
    const peer = await connectPeer(surroundings, {
      address,
      hello: { role: "admin", id: `dump-${String(process.pid)}` },
      ownTable: {},
      handlers: {},
      remoteTable: nameServerMethods,
    });
    await peer.call("dumpStart", {});
    for (;;) {
      const { bytes } = (await peer.call("dumpNext", {})).payload;
      if (bytes.length === 0) break;
      // The name server waits for whoever reads this.
      if (!process.stdout.write(bytes)) await once(process.stdout, "drain");
    }
    peer.close("done");
  } catch (cause) {
    throw new CommandFailure(`${formatAddress(address)} was not dumped: ${(cause as Error).message}`, { cause });
  }
}
