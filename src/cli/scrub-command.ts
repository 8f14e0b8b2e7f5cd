/** `dfs scrub`: its options and help. */
import type { Command, Option } from "commander";
import type { Address } from "../rpc/types.ts";
import { parseAddresses, serverArgument } from "./usage.ts";

export function addScrub(
  program: Command,
  shared: {
    readonly secretFile: Option;
    readonly nameServer: readonly Address[];
    readonly say: (line: string) => void;
  },
  onStatus: (status: number) => void,
): void {
  program
    .command("scrub")
    .description(
      "Show how far the storage nodes are with verifying their blocks. With --now: verify everything, exit status 0: " +
        "no damage, 1: repaired, 4: damage is left, 8: not all nodes could be asked (added up).",
    )
    .argument("[host:port]", serverArgument, parseAddresses, shared.nameServer)
    .option("--now", "read everything on all nodes and wait for the end", false)
    .addOption(shared.secretFile)
    .action(async (addresses: Address[], options: { now: boolean; secretFile?: string }) => {
      const { scrubNow, showScrub } = await import("./scrub.ts");
      if (options.now) onStatus(await scrubNow(addresses, options.secretFile, shared.say));
      else await showScrub(addresses, options.secretFile, shared.say);
    });
}
