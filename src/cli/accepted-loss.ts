/**
 * The file `accept-loss` in a name server's folder: an operator's word, for the next start, that storage nodes that do not
 * answer are lost for ever. A folder made of a dump, or recovered from less than a majority, has it from the start.
 */
import { join } from "node:path";
import type { Disk } from "../base/disk.ts";
import type { AcceptedLoss } from "../name-server/copies/types.ts";

export const acceptLossName = "accept-loss";

export function acceptedLoss(disk: Disk): AcceptedLoss {
  return {
    how: `create the file ${join(disk.root, acceptLossName)}`,
    isGiven: () => disk.exists(acceptLossName),
    async done() {
      await disk.remove(acceptLossName);
      await disk.syncFolder("");
    },
  };
}

/** Durable when the folder is synced. */
export async function acceptLoss(disk: Disk): Promise<void> {
  await (await disk.open(acceptLossName, "create")).close();
}
