/** `dfs node drain|undrain|remove`: tells the name server what was decided. */
import { silentLog } from "../base/log.ts";
import type { Address } from "../rpc/types.ts";
import { CommandFailure } from "./failure.ts";
import { connectAsOperator } from "./operator.ts";
import { createSurroundings } from "./surroundings.ts";

export async function decideNode(command: {
  readonly which: string;
  readonly decision: "drain" | "undrain" | "remove";
  readonly addresses: readonly Address[];
  readonly secretFile: string | undefined;
}): Promise<void> {
  const surroundings = createSurroundings(silentLog, { secretFile: command.secretFile });
  try {
    const peer = await connectAsOperator(surroundings, command.addresses, "node");
    await peer.call("decideNode", { node: command.which, decision: command.decision });
    peer.close("done");
  } catch (cause) {
    const said = (cause as Error).message.replace(/^E[A-Z0-9]+: /, "");
    throw new CommandFailure(`cannot ${command.decision} ${command.which}: ${said}`, { cause });
  }
}
