/** `dfs name-server --recover`: the folder, the connections, and what is refused. */
import type { Disk } from "../base/disk.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import { recoverFolder } from "../name-server/copies/recover.ts";
import type { Surroundings } from "../rpc/open.ts";
import type { Address } from "../rpc/types.ts";
import { acceptLoss, acceptLossName } from "./accepted-loss.ts";
import { CommandFailure } from "./failure.ts";
import { nodeConnections } from "./node-connections.ts";
import { makeServerId } from "./server-id.ts";

const marker = "recovering";
/** Until it has served for the first time: the server before may still believe that it may serve. */
const takenOver = "taken-over";
const parts = ["epoch", "journal", "snapshot", "lmdb", "server", "copies.json", "mending", acceptLossName, takenOver];

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
    connect: nodeConnections(surroundings, server),
  });
  if (options.acceptLoss) await acceptLoss(disk);
  await (await disk.open(takenOver, "create")).close();
  await disk.remove(marker);
  await disk.syncFolder("");
}

/** How long a server on this folder has to wait before it serves: also if it was killed before it ever did. */
export async function takeoverWaitMillis(disk: Disk): Promise<number> {
  return (await disk.exists(takenOver)) ? limits.takeoverMillis : 0;
}

/** It has waited, and serves. */
export async function hasServed(disk: Disk): Promise<void> {
  if (!(await disk.exists(takenOver))) return;
  await disk.remove(takenOver);
  await disk.syncFolder("");
}
