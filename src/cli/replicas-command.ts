/** `dfs replicas` on the command line. */
import type { Command, Option } from "commander";
import { limits } from "../base/limits.ts";
import { parseCount } from "./usage.ts";

const where = "a path in a mount, or HOST:PORT:/path";

export function addReplicas(program: Command, secretFile: () => Option): void {
  const replicas = program.command("replicas").description("How many copies the content of files has.");
  replicas
    .command("set")
    .description(
      "Set the number of copies of a file's content, or of everything in a directory: of what is made there from now on " +
        "at once, of what is there already in the background.",
    )
    .argument("<copies>", `1 to ${String(limits.replicasMax)}`, parseCount(1, limits.replicasMax))
    .argument("<path>", where)
    .addOption(secretFile())
    .action(async (copies: number, path: string, options: { secretFile?: string }) => {
      await (await import("./replicas.ts")).setReplicas(copies, path, options.secretFile);
    });
  replicas
    .command("get")
    .description("Print how many copies are wanted, and for a file how many its content has now.")
    .argument("<path>", where)
    .addOption(secretFile())
    .action(async (path: string, options: { secretFile?: string }) => {
      process.stdout.write(await (await import("./replicas.ts")).describeReplicas(path, options.secretFile));
    });
}
