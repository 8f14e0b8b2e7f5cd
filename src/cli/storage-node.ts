/** `dfs storage-node`: the process that keeps blocks. */
import { systemClock } from "../base/clock.ts";
import { systemRandom } from "../base/random.ts";
import { openSystemDisk } from "../base/system-disk.ts";
import { openIdentity } from "../block-store/identity.ts";
import { openBlockStore } from "../block-store/open.ts";
import type { Address } from "../rpc/types.ts";
import { JournalKeeper } from "../storage-node/journal-keeper.ts";
import { createStorageNode } from "../storage-node/node.ts";
import { Scrub } from "../storage-node/scrub.ts";
import { reportReady } from "./daemon.ts";
import { lockFolder } from "./folder-lock.ts";
import { letHeapGrow } from "./heap-growth.ts";
import { createLifetime } from "./lifetime.ts";
import { createLog } from "./logging.ts";
import { createSurroundings } from "./surroundings.ts";

export interface StorageNodeCommand {
  readonly data: string;
  readonly listen: Address;
  readonly advertise?: Address;
  /** Nodes with the same label fail together (a machine, a rack); absent: the host that is advertised. */
  readonly hostLabel?: string;
  readonly nameServers: readonly Address[];
  /** Bytes; absent: what the disk has. */
  readonly capacity?: number;
  /** Bytes per second; absent: by the node's fill. */
  readonly scrubRate?: number;
  readonly secretFile?: string;
  readonly debug: boolean;
}

export async function runStorageNode(command: StorageNodeCommand): Promise<number> {
  letHeapGrow();
  const log = createLog("storage-node", { debug: command.debug });
  const lifetime = createLifetime(log);
  const surroundings = createSurroundings(log, { secretFile: command.secretFile, serving: command.listen });
  const lock = await lockFolder(command.data);
  const disk = await openSystemDisk(command.data);
  const identity = await openIdentity(disk, systemRandom);
  const capacityBytes = command.capacity ?? (await disk.space()).totalBytes;
  const store = await openBlockStore({ disk, identity, capacityBytes, clock: systemClock, log });
  const journal = await JournalKeeper.open({ disk, identity, log });
  for (const { failed } of [store, journal]) {
    failed.catch((error: unknown) => {
      lifetime.fail(error);
    });
  }
  const scrub = await Scrub.open({ disk, store, clock: systemClock, log, bytesPerSecond: command.scrubRate });
  const node = await createStorageNode({
    store,
    scrub,
    identity,
    surroundings,
    journal,
    listen: command.listen,
    ...(command.advertise === undefined ? {} : { advertised: command.advertise }),
    ...(command.hostLabel === undefined ? {} : { hostLabel: command.hostLabel }),
    nameServers: command.nameServers,
  });
  log.info({ ...node.address, node: identity.node, data: command.data }, "serving");
  reportReady();
  const status = await lifetime.over;
  await node.close();
  if (status === 0) await Promise.all([store.close(), journal.close()]);
  await lock.release();
  return status;
}
