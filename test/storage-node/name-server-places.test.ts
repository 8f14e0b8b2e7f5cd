/** Where a storage node looks for its name server. */
import test from "ava";
import { FsError } from "../../src/base/errno.ts";
import { systemClock } from "../../src/base/clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import { openIdentity } from "../../src/block-store/identity.ts";
import { journalMethods } from "../../src/protocol/journal-methods.ts";
import { serve } from "../../src/rpc/open.ts";
import type { Address } from "../../src/rpc/types.ts";
import { NameServerPlaces } from "../../src/storage-node/name-server-places.ts";
import { createStorageNode } from "../../src/storage-node/node.ts";
import { memoryBackend } from "../../src/block-store/memory-backend.ts";
import { FaultyDisk } from "../support/faulty-disk.ts";
import { MiB, openStore } from "../block-store/support.ts";
import { claim, cluster as clusterId, TestKeeper } from "./journal-support.ts";
import { TestCluster, until } from "./support.ts";

const place = (port: number): Address => ({ host: "somewhere", port });
const signal = new AbortController().signal;

test("other nodes are asked after a round in vain, not before, and a lower epoch than its own is not followed", async (t) => {
  const asked: number[] = [];
  let hint = { epoch: 9, address: place(3) };
  const places = new NameServerPlaces({
    given: [place(1), place(2)],
    journal: { nameServer: { epoch: 5, address: place(2) }, nodes: [place(11), place(12), place(13)] },
    isOther: ({ port }) => port !== 11,
    ask: ({ port }) => {
      asked.push(port);
      return port === 12 ? Promise.resolve(hint) : Promise.reject(new FsError("ECONNREFUSED", "down"));
    },
    clock: systemClock,
    random: seededRandom(1),
  });
  const round = async (count: number): Promise<number[]> => {
    const ports: number[] = [];
    for (let i = 0; i < count; i++) ports.push((await places.next(signal)).port);
    return ports;
  };
  t.deepEqual(await round(2), [2, 1], "where its own server said that it is first");
  t.deepEqual(asked, []);
  t.deepEqual(await round(3), [3, 2, 1]);
  t.deepEqual(asked.sort(), [12, 13], "not itself");
  places.registered();
  asked.length = 0;
  await round(1);
  t.deepEqual(asked, [], "it begins anew");
  hint = { epoch: 4, address: place(4) };
  places.registered();
  t.deepEqual(await round(3), [3, 2, 1]);
  t.deepEqual(await round(2), [2, 1]);
});

test("a node that was away while another name server took over finds that one", async (t) => {
  const cluster = new TestCluster();
  const listen = { host: "memory", port: 7555 };
  const other = { host: "memory", port: 7556 };
  // Of the nodes that it remembers one is there, and has promised a higher epoch to another server.
  const neighbour = await serve(cluster.surroundings(7), {
    address: other,
    hello: { role: "storage-node", id: "00000000000000b2" },
    ownTable: { nameServerAddress: journalMethods.nameServerAddress },
    remoteTable: {},
    handlers: { nameServerAddress: () => ({ epoch: 9, address: { host: "memory", port: 7400 } }) },
  });
  await cluster.nameServer.listen(cluster.surroundings());
  const disk = new FaultyDisk();
  const tested = await TestKeeper.open(disk);
  const identity = await openIdentity(disk, seededRandom(3));
  await tested.call("raiseEpoch", { ...claim, cluster: clusterId, address: { host: "memory", port: 1 } });
  const nodes = [
    { node: identity.node, address: listen },
    { node: "00000000000000b2", address: other },
  ];
  await tested.call("storeRegister", { ...claim, register: { ...claim, generation: 1, members: [], nodes } });
  const journal = tested.keeper;
  const store = await openStore(disk, {
    identity,
    backend: memoryBackend(),
    clock: systemClock,
    capacityBytes: 64 * MiB,
  });
  const node = await createStorageNode({
    ...{ store, identity, journal, listen, surroundings: cluster.surroundings(8) },
    // Nobody is at the address that it was given, nor where its server said that it is.
    nameServers: [{ host: "memory", port: 2 }],
  });
  await until(() => cluster.nameServer.registrations.length > 0, "it registers");
  t.is(cluster.nameServer.registrations[0]?.node, identity.node);
  await node.close();
  await store.close();
  await journal.close();
  await neighbour.close();
  await cluster.close();
});
