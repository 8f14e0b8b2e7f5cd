/** `dfs name-server --recover`: the folder, the connections, and what is refused. */
import type { Disk } from "../base/disk.ts";
import type { Log } from "../base/log.ts";
import { recoverFolder } from "../name-server/copies/recover.ts";
import { journalMethods } from "../protocol/journal-methods.ts";
import { connectPeer, type Surroundings } from "../rpc/open.ts";
import type { Address } from "../rpc/types.ts";
import { acceptLoss, acceptLossName } from "./accepted-loss.ts";
import { CommandFailure } from "./failure.ts";
import { makeServerId } from "./server-id.ts";

const marker = "recovering";
const parts = ["epoch", "journal", "snapshot", "lmdb", "server", "copies.json", "mending", acceptLossName];

export interface RecoverCommand {
  readonly nodes: readonly Address[];
  readonly acceptLoss: boolean;
}

/** Throws unless the folder is one that may be started as it is. */
export async function refuseUnfinished(disk: Disk): Promise<void> {
  if (await disk.exists(marker))
    throw new CommandFailure(`${disk.root} was not recovered to the end: run the same command with --recover again`);
}

/** Makes an empty folder a name server's, from its storage nodes. */
export async function recoverInto(
  disk: Disk,
  options: RecoverCommand & {
    address: Address | null;
    surroundings: Surroundings;
    log: Log;
    clear: (path: string) => Promise<void>;
  },
): Promise<void> {
  const { surroundings, log } = options;
  const isUnfinished = await disk.exists(marker);
  for (const path of parts) {
    if (!(await disk.exists(path))) continue;
    if (!isUnfinished)
      throw new CommandFailure(
        `${disk.root} is not empty: start it without --recover, or recover into an empty folder (and keep this one)`,
      );
    await options.clear(path);
  }
  if (!isUnfinished) await (await disk.open(marker, "create")).close();
  await disk.syncFolder("");
  const server = await makeServerId(disk, surroundings.random);
  await recoverFolder({
    ...{ disk, server, log },
    address: options.address,
    nodes: options.nodes,
    acceptLoss: options.acceptLoss,
    connect: (address) =>
      connectPeer(surroundings, {
        address,
        hello: { role: "name-server", id: server },
        ownTable: {},
        handlers: {},
        remoteTable: journalMethods,
      }),
  });
  if (options.acceptLoss) await acceptLoss(disk);
  await disk.remove(marker);
  await disk.syncFolder("");
}
