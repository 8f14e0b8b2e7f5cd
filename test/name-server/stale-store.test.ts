/** A name server whose metadata is not the cluster's, or is an old copy of it, is refused by its nodes and orders nothing. */
import test from "ava";
import { toGroupId, type ClusterId } from "../../src/base/ids.ts";
import { seededRandom } from "../../src/base/random.ts";
import { nameServerMethods } from "../../src/protocol/name-server.ts";
import { storageNodeMethods } from "../../src/protocol/storage-node.ts";
import { serve } from "../../src/rpc/open.ts";
import { FaultyDisk } from "../support/faulty-disk.ts";
import { pattern, RewriteCluster } from "./rewrite/support.ts";

const blockBytes = 64 * 1024;

async function withFiles(count: number): Promise<RewriteCluster> {
  const cluster = await RewriteCluster.start();
  const ino = await cluster.client.create("file");
  for (let i = 0; i < count; i++)
    await cluster.writeBlock(ino, [{ offset: i * blockBytes, bytes: pattern(i, blockBytes) }]);
  return cluster;
}

function holdings(cluster: RewriteCluster): string[][] {
  return cluster.nodes.map(({ store }) => {
    const held: string[] = [];
    for (let group = 0; group < 200; group++)
      for (const { block } of store.list(toGroupId(group), 0, 1e6))
        held.push(`${String(block.group)}/${String(block.number)}`);
    return held;
  });
}

test("an empty name server gets none of the nodes of another cluster, and they keep their blocks", async (t) => {
  const cluster = await withFiles(12);
  const { cluster: server } = cluster;
  const before = holdings(cluster);
  t.true(before.flat().length >= 24);
  await server.stop();
  server.disk = new FaultyDisk(seededRandom(77));
  await server.start();
  await server.clock.advance(120_000);
  t.true(cluster.nodes.every(({ node }) => !node.isConnected));
  t.deepEqual(holdings(cluster), before);
  const { warnings, nodes } = server.server.status();
  t.is(nodes.length, 0);
  for (const { identity } of cluster.nodes)
    t.true(warnings.some((line) => /was refused: .* belongs to cluster/.test(line) && line.includes(identity.node)));
  await cluster.stop();
});

test("an old copy of the metadata gets none of the nodes that know better, and orders no deletion", async (t) => {
  const cluster = await withFiles(2);
  const { cluster: server } = cluster;
  await server.stop();
  const copy = await copyOf(server.disk);
  await server.start();
  await cluster.client.resume();
  await cluster.until(() => cluster.nodes.every(({ node }) => node.isConnected), "the nodes");
  const ino = await cluster.client.create("later");
  for (let i = 0; i < 80; i++)
    await cluster.writeBlock(ino, [{ offset: i * blockBytes, bytes: pattern(i, blockBytes) }]);
  const before = holdings(cluster);
  await server.stop();
  server.disk = copy;
  await server.start();
  await server.clock.advance(120_000);
  t.deepEqual(holdings(cluster), before);
  const { warnings, nodes } = server.server.status();
  t.true(nodes.every(({ state }) => state === "down"));
  t.true(
    warnings.some((line) => /was refused: .* never gave: its metadata is older/.test(line)),
    warnings.join("\n"),
  );
  await cluster.stop();
});

test("a foreign name server that gives orders before it has answered a registration deletes nothing, and raises no epoch", async (t) => {
  const cluster = await withFiles(4);
  const before = holdings(cluster);
  await cluster.cluster.stop();
  const refusals: string[] = [];
  const listener = await serve(cluster.cluster.surroundings, {
    address: { host: "127.0.0.1", port: 7400 },
    hello: { role: "name-server", id: "foreign" },
    ownTable: { registerNode: nameServerMethods.registerNode },
    remoteTable: storageNodeMethods,
    handlers: {
      registerNode: (_request, { peer }) => {
        for (const [number] of Array.from({ length: 64 }).entries()) {
          const blocks = Array.from({ length: 64 }, (_, group) => ({ group: toGroupId(group), number }));
          peer.call("deleteBlocks", { epoch: 1_000, blocks }).catch((error: unknown) => refusals.push(String(error)));
        }
        peer.call("scrubNow", { epoch: 1_000 }).catch((error: unknown) => refusals.push(String(error)));
        peer.call("checkBlocks", { epoch: 1_000, blocks: [] }).catch((error: unknown) => refusals.push(String(error)));
        return { cluster: "00000000000000ff" as ClusterId, epoch: 1_000, heartbeatMillis: 1_000 };
      },
    },
  });
  await cluster.cluster.clock.advance(20_000);
  t.true(refusals.length > 0, "it was obeyed");
  t.deepEqual(holdings(cluster), before);
  t.true(cluster.nodes.every(({ identity }) => identity.epoch < 1_000));
  await listener.close();
  await cluster.cluster.start();
  await cluster.stop();
});

/** What a backup of the folder has. */
async function copyOf(disk: FaultyDisk): Promise<FaultyDisk> {
  const into = new FaultyDisk(seededRandom(5));
  for (const folder of ["", "journal", "snapshot"]) {
    if (folder !== "" && !(await disk.exists(folder))) continue;
    if (folder !== "") await into.makeFolder(folder);
    for (const name of await disk.list(folder)) {
      const path = folder === "" ? name : `${folder}/${name}`;
      if (!disk.has(path)) continue;
      const file = await into.open(path, "create");
      await file.write([Buffer.from(disk.bytesOf(path))], 0);
      await file.sync();
      await file.close();
    }
    await into.syncFolder(folder);
  }
  return into;
}
