/** `dfs node` on the command line. */
import type { Command, Option } from "commander";
import type { Address } from "../rpc/types.ts";
import { parseAddresses, serverArgument } from "./usage.ts";

const decisions = {
  drain: "Let other nodes take its place in every group; it serves until they hold its blocks.",
  undrain: "Keep a node that is being drained.",
  remove: "Take a node out of the cluster for ever, once it is drained, or out and not needed any more.",
} as const;

export function addNode(program: Command, secretFile: () => Option, nameServer: readonly Address[]): void {
  const node = program.command("node").description("The storage nodes of a cluster.");
  node
    .command("list")
    .description("Show the storage nodes, their state, and in how many groups they are.")
    .argument("[host:port]", serverArgument, parseAddresses, nameServer)
    .option("--json", "for programs", false)
    .addOption(secretFile())
    .action(async (addresses: Address[], options: { json: boolean; secretFile?: string }) => {
      const { fetchStatus, formatNodes } = await import("./status.ts");
      const { nodes } = await fetchStatus(addresses, options.secretFile);
      process.stdout.write(options.json ? `${JSON.stringify(nodes, null, 2)}\n` : formatNodes(nodes));
    });
  for (const decision of ["drain", "undrain", "remove"] as const) {
    node
      .command(decision)
      .description(decisions[decision])
      .argument("<node>", "its id, or its HOST:PORT")
      .argument("[host:port]", serverArgument, parseAddresses, nameServer)
      .addOption(secretFile())
      .action(async (which: string, addresses: Address[], options: { secretFile?: string }) => {
        await (await import("./node.ts")).decideNode({ which, decision, addresses, secretFile: options.secretFile });
      });
  }
}
