/** Checks as operators ask a name server for them. */
import test from "ava";
import { limits } from "../../../src/base/limits.ts";
import { keys } from "../../../src/metadata-store/keys.ts";
import { decodeInode, encodeInode } from "../../../src/metadata-store/records.ts";
import type { NameServerMethods } from "../../../src/protocol/name-server.ts";
import type { Found, FsckSummary } from "../../../src/protocol/check-methods.ts";
import type { Peer } from "../../../src/rpc/types.ts";
import { settle } from "../../support/simulated-clock.ts";
import { live, TestClient, TestCluster, rootIno } from "../support.ts";

type Admin = Peer<NameServerMethods>;

function admin(cluster: TestCluster): Promise<Admin> {
  return cluster.connect({ role: "admin", id: "fsck" }, {}, {});
}

const everything = { repair: false, data: false, path: [] };

async function finish(peer: Admin): Promise<{ found: Found[]; summary: FsckSummary }> {
  const found: Found[] = [];
  for (;;) {
    const { reply } = await peer.call("fsckNext", {});
    found.push(...reply.found);
    if (reply.end !== null) return { found, summary: reply.end };
  }
}

test("a name server at work is clean, and says how much it looked at", async (t) => {
  const cluster = await TestCluster.start();
  const client = await TestClient.open(cluster);
  await client.create("a");
  const peer = await admin(cluster);
  await peer.call("fsckStart", everything);
  await t.throwsAsync(peer.call("fsckStart", everything), { message: /EBUSY/ });
  const { found, summary } = await finish(peer);
  t.deepEqual(found, []);
  t.deepEqual([summary.inodes, summary.entries, summary.errors], [2, 1, 0]);
  await peer.call("fsckStart", everything);
  await finish(peer);
  await cluster.stop();
});

test("only an operator may check", async (t) => {
  const cluster = await TestCluster.start();
  const client = await TestClient.open(cluster);
  await t.throwsAsync(client.call("fsckStart", everything), { message: /EPERM/ });
  await t.throwsAsync(client.call("fsckNext", {}), { message: /EPERM/ });
  await cluster.stop();
});

test("a repair takes the leases of what it changes, as any change does", async (t) => {
  const cluster = await TestCluster.start();
  const client = await TestClient.open(cluster);
  const ino = await client.create("a");
  await client.call("acquire", { ino, level: "shared" });
  const record = decodeInode(cluster.store.get(keys.inode(ino)) as Buffer);
  cluster.store.apply([[keys.inode(ino), encodeInode({ ...record, nlink: 4 })]]);
  client.recalls.length = 0;
  const peer = await admin(cluster);
  await peer.call("fsckStart", { ...everything, repair: true });
  const { found, summary } = await finish(peer);
  t.deepEqual([summary.repaired, summary.errors], [1, 0], JSON.stringify(found));
  t.true(client.recalls.some((recall) => recall.ino === ino));
  t.true(client.recalls.some((recall) => recall.ino === rootIno));
  t.is((await client.call("getattr", { ino })).attributes.nlink, 1);
  await cluster.stop();
});

test("a check ends with its connection, and when nobody asks for what it finds", async (t) => {
  const cluster = await TestCluster.start();
  const client = await TestClient.open(cluster);
  const first = await admin(cluster);
  await first.call("fsckStart", everything);
  first.close("gone");
  await settle(50);
  const second = await admin(cluster);
  await second.call("fsckStart", everything);
  await live(cluster, limits.fsckIdleMillis + 2_000, { clients: [client] });
  await t.throwsAsync(second.call("fsckNext", {}), { message: /EINVAL/ });
  const third = await admin(cluster);
  await third.call("fsckStart", everything);
  t.is((await finish(third)).summary.errors, 0);
  await cluster.stop();
});
