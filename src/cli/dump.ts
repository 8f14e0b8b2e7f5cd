/** `dfs dump`: all metadata of a name server as lines of JSON, to standard output. */
import { once } from "node:events";
import { silentLog } from "../base/log.ts";
import type { Address } from "../rpc/types.ts";
import { CommandFailure } from "./failure.ts";
import { connectAsOperator } from "./operator.ts";
import { createSurroundings } from "./surroundings.ts";
import { formatAddresses } from "./usage.ts";

export async function runDump(addresses: readonly Address[], secretFile: string | undefined): Promise<void> {
  const surroundings = createSurroundings(silentLog, { secretFile });
  try {
    const peer = await connectAsOperator(surroundings, addresses, "dump");
    await peer.call("dumpStart", {});
    for (;;) {
      const { bytes } = (await peer.call("dumpNext", {})).payload;
      if (bytes.length === 0) break;
      // The name server waits for whoever reads this.
      if (!process.stdout.write(bytes)) await once(process.stdout, "drain");
    }
    peer.close("done");
  } catch (cause) {
    throw new CommandFailure(`${formatAddresses(addresses)} was not dumped: ${(cause as Error).message}`, { cause });
  }
}
