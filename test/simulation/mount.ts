/** A client process of the simulated world, as `cli/client.ts` puts it together, and the processes' way into it. */
import { FsError } from "../../src/base/errno.ts";
import { limits } from "../../src/base/limits.ts";
import { createContents } from "../../src/cache/contents.ts";
import type { Operations } from "../../src/fuse/operations.ts";
import { clientMethods } from "../../src/protocol/client.ts";
import { journalMethods } from "../../src/protocol/journal-methods.ts";
import { nameServerMethods } from "../../src/protocol/name-server.ts";
import { storageNodeMethods } from "../../src/protocol/storage-node.ts";
import { createBlockReader } from "../../src/remote/block-reader.ts";
import { createBlockWriter } from "../../src/remote/block-writer.ts";
import { connectNameServer } from "../../src/remote/name-server-client.ts";
import { NodePool } from "../../src/remote/node-pool.ts";
import { createNodeReports } from "../../src/remote/node-reports.ts";
import { connectPeer } from "../../src/rpc/open.ts";
import { createVfs } from "../../src/vfs/vfs.ts";
import { RecordingNotifier } from "../vfs/mount.ts";
import type { Machine } from "./machine.ts";
import type { Network } from "./network.ts";
import { nameServerAddresses, surroundingsOf } from "./servers.ts";

const KiB = 1024;
/** Small blocks, small inline content, and memory that is soon scarce: every way that content may take is taken. */
const contentLimits = {
  ...limits,
  blockBytesMax: 64 * KiB,
  inlineBytesMax: 2 * KiB,
  inlineBytesPerRequestMax: 16 * KiB,
  extentsPerBlockMax: 8,
  clientDirtyBytesMax: 4 * 1024 * KiB,
  clientCleanBytesMax: 2 * 1024 * KiB,
};

const againMillis = 1_000;

export interface Mounted {
  readonly machine: Machine;
  readonly operations: Operations;
}

/** As often as it takes. @param onLoss: see `mount` */
export async function mountInTheEnd(machine: Machine, network: Network, onLoss: () => void): Promise<Mounted> {
  for (;;) {
    try {
      return await mount(machine, network, onLoss);
    } catch (error) {
      if (!(error instanceof FsError)) throw error;
      await new Promise<void>((resolve) => void machine.clock.after(againMillis, resolve));
    }
  }
}

/** @param onLoss it has lost its session or leases: what was not synced may be gone */
async function mount(machine: Machine, network: Network, onLoss: () => void): Promise<Mounted> {
  const { clock, random, log, host } = machine;
  const surroundings = surroundingsOf(machine, network);
  const vfs = createVfs({ clock, log, readGroups: () => Promise.resolve([]) });
  let sessions = 0;
  const connected = await connectNameServer({
    addresses: nameServerAddresses,
    connect: (address, how) =>
      connectPeer(surroundings, { ...how, address, ownTable: clientMethods, remoteTable: nameServerMethods }),
    connectNode: (address, how) =>
      connectPeer(surroundings, { ...how, address, ownTable: {}, remoteTable: journalMethods }),
    ...{ clock, random, log, clientName: host },
    events: {
      ...vfs.events,
      ahead: {
        ...vfs.events.ahead,
        onLost: (error) => {
          onLoss();
          vfs.events.ahead.onLost(error);
        },
      },
      onLeasesReclaimed: (asked, grants) => {
        if (grants.length < asked.length) onLoss();
        vfs.events.onLeasesReclaimed(asked, grants);
      },
      onSession: (session) => {
        if (!session.resumed && sessions++ > 0) onLoss();
        return vfs.events.onSession(session);
      },
    },
  });
  const nameServer = vfs.leased(connected);
  const nodes = new NodePool({
    connect: (address, how) =>
      connectPeer(surroundings, { ...how, address, ownTable: {}, remoteTable: storageNodeMethods }),
    ...{ clock, log, clientName: host, map: () => nameServer.map },
  });
  const reports = createNodeReports({ nameServer, clock, log });
  const contents = createContents({
    nameServer,
    reader: createBlockReader({ nameServer, nodes, reports, clock, log }),
    writer: createBlockWriter({ nameServer, nodes, reports, clock, log }),
    ...{ clock, log, limits: contentLimits },
  });
  const operations = vfs.attach({ nameServer, contents });
  await operations.start(new RecordingNotifier());
  return { machine, operations };
}
