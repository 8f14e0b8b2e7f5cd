/** Makes many files at a name server without a mount: as a client, by many requests at a time. */
import { systemClock } from "../../src/base/clock.ts";
import { rootIno } from "../../src/base/ids.ts";
import { silentLog } from "../../src/base/log.ts";
import { nameFromText } from "../../src/base/name.ts";
import { systemRandom } from "../../src/base/random.ts";
import { clientMethods } from "../../src/protocol/client.ts";
import { journalMethods } from "../../src/protocol/journal-methods.ts";
import { nameServerMethods } from "../../src/protocol/name-server.ts";
import { connectNameServer } from "../../src/remote/name-server-client.ts";
import type { NameServer } from "../../src/remote/types.ts";
import { connectPeer } from "../../src/rpc/open.ts";
import { createWebSocketTransport } from "../../src/rpc/websocket-transport.ts";

const filesPerDirectory = 1_000;
const parallel = 512;

/** Returns the seconds it took. */
export async function fillNameServer(port: number, files: number): Promise<number> {
  const surroundings = {
    transport: createWebSocketTransport(),
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
  };
  const nameServer: NameServer = await connectNameServer({
    addresses: [{ host: "127.0.0.1", port }],
    connect: (address, how) =>
      connectPeer(surroundings, { ...how, address, ownTable: clientMethods, remoteTable: nameServerMethods }),
    connectNode: (address, how) =>
      connectPeer(surroundings, { ...how, address, ownTable: {}, remoteTable: journalMethods }),
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    clientName: "bench",
    events: {
      // It keeps nothing, so it has nothing to drop.
      handlers: {
        recallLeases: ({ recalls }) => {
          nameServer.tell(recalls.map(({ ino, number }) => ({ kind: "acknowledged", ino, number })));
          return {};
        },
        inodesRemoved: () => ({ inUse: [] }),
      },
      onSession: () => undefined,
      ahead: { moment: () => 0, onApplied: () => undefined, onLost: () => undefined },
      onTrusted: () => undefined,
      heldLeases: () => [],
      onLeasesReclaimed: () => undefined,
    },
  });
  const start = performance.now();
  const caller = { uid: 0, gid: 0 };
  const common = { caller, umask: 0 };
  const top = await nameServer.change("mkdir", {
    ...common,
    parent: rootIno,
    name: nameFromText(`bench-${String(process.pid)}`),
    mode: 0o40755,
  });
  let next = 0;
  let directory = top.attributes.ino;
  let made = 0;
  const worker = async (): Promise<void> => {
    while (next < files) {
      const i = next++;
      if (i % filesPerDirectory === 0) {
        const name = nameFromText(`d${String(i / filesPerDirectory)}`);
        directory = (await nameServer.change("mkdir", { ...common, parent: top.attributes.ino, name, mode: 0o40755 }))
          .attributes.ino;
      }
      await nameServer.change("create", {
        ...common,
        parent: directory,
        name: nameFromText(`file-${String(i)}`),
        mode: 0o100644,
      });
      made += 1;
    }
  };
  await Promise.all(Array.from({ length: parallel }, worker));
  const seconds = (performance.now() - start) / 1000;
  await nameServer.close();
  if (made !== files) throw new Error(`${String(made)} of ${String(files)} files were made`);
  return seconds;
}
