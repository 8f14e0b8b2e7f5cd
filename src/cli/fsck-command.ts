/** `dfs fsck`, `dfs dump` and `dfs load` on the command line. */
import { Option, type Command } from "commander";
import type { Address } from "../rpc/types.ts";
import { parseAddresses, serverArgument } from "./usage.ts";

/** Exit status of fsck(8) for a wrong command line. */
export const fsckUsageStatus = 16;

export function addFsck(program: Command, secretFile: Option, ended: (status: number) => void): void {
  program
    .command("fsck")
    .description(
      "Check a filesystem while it is in use: names, links, extents, accounts of blocks. " +
        "Exit status as of fsck(8): 0 clean, 1 corrected, 4 errors left, 8 could not check, 16 usage.",
    )
    .argument("[path]", "only what is at or below this path: in a mount, or of the filesystem itself")
    .option("--repair", "correct what can be corrected for certain", false)
    .option("--data", "read and verify every copy of every block", false)
    .addOption(
      new Option(
        "--name-server <host:port>",
        `${serverArgument} (default: that of the mount, else 127.0.0.1:7400)`,
      ).argParser(parseAddresses),
    )
    .addOption(secretFile)
    .action(
      async (
        path: string | undefined,
        options: { repair: boolean; data: boolean; nameServer?: Address[]; secretFile?: string },
      ) => {
        ended(await (await import("./fsck.ts")).runFsck({ path, ...options }));
      },
    );
}

export function addDump(program: Command, secretFile: Option): void {
  program
    .command("dump")
    .description("Write all metadata to standard output, as lines of JSON, while they are in use.")
    .argument("[host:port]", serverArgument, parseAddresses, [{ host: "127.0.0.1", port: 7400 }])
    .addOption(secretFile)
    .action(async (addresses: Address[], options: { secretFile?: string }) => {
      await (await import("./dump.ts")).runDump(addresses, options.secretFile);
    });
  program
    .command("load")
    .description("Make a name server's folder of a dump that is read from standard input.")
    .requiredOption("--data <folder>", "a folder that is empty or not there yet")
    .action(async (options: { data: string }) => {
      await (await import("./load.ts")).runLoad(options.data);
    });
}
