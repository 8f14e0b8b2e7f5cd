import test from "ava";
import { FsError } from "../../src/base/errno.ts";
import type { ClusterId } from "../../src/base/ids.ts";
import { put } from "../block-store/support.ts";
import { cluster as clusterId, TestCluster, until, withCluster, type TestNode } from "./support.ts";

test("a new node joins the cluster that answers it, durably, and tells what it holds", (t) =>
  withCluster(t, 1, async (cluster, [a]) => {
    const { identity, store, node, disk } = a as TestNode;
    t.is(identity.cluster, clusterId);
    t.is(identity.epoch, 1);
    t.true(disk.isDurable("node.json"));
    const [registration] = cluster.nameServer.registrations;
    t.is(registration?.cluster, null);
    t.deepEqual(registration?.address, node.address);
    await put(store, 41, 1000);
    await cluster.stop(a as TestNode);
    const again = await cluster.start(a);
    await again.node.registered;
    const second = cluster.nameServer.registrations[1];
    t.is(second?.cluster, clusterId);
    t.is(second?.node, identity.node);
    t.deepEqual(second?.greatest, [{ group: 1 as never, number: 41 }]);
  }));

test("heartbeats go on, and a name server that was away is found again", (t) =>
  withCluster(t, 2, async (cluster) => {
    const { nameServer } = cluster;
    await until(() => nameServer.heartbeats >= 4, "heartbeats");
    await nameServer.listener?.close();
    await until(() => cluster.nodes.every(({ node }) => !node.isConnected), "the broken connections are noticed");
    nameServer.registrations = [];
    nameServer.epoch = 2;
    await nameServer.listen(cluster.surroundings());
    await until(() => nameServer.registrations.length >= 2, "both nodes register again");
    const before = nameServer.heartbeats;
    await until(() => nameServer.heartbeats >= before + 4, "heartbeats again");
    t.true(cluster.nodes.every(({ identity }) => identity.epoch === 2));
  }));

test("a name server that does not know the node any more makes it register again", (t) =>
  withCluster(t, 1, async ({ nameServer }) => {
    await until(() => nameServer.heartbeats > 0, "the first heartbeat");
    nameServer.refuseHeartbeat = new FsError("ENOTCONN", "who are you?");
    await until(() => nameServer.registrations.length >= 3, "it registers again, and once more");
    nameServer.refuseHeartbeat = undefined;
    const before = nameServer.heartbeats;
    await until(() => nameServer.heartbeats > before + 2, "heartbeats");
    t.pass();
  }));

test("a node never changes its cluster, and obeys no name server of an older epoch", (t) =>
  withCluster(t, 1, async (cluster, [a]) => {
    const { nameServer } = cluster;
    const { identity, node } = a as TestNode;
    for (const [other, epoch] of [
      ["00000000000000dd" as ClusterId, 1],
      [clusterId, 0],
    ] as const) {
      await nameServer.listener?.close();
      await until(() => !node.isConnected, "the connection broke");
      nameServer.cluster = other;
      nameServer.epoch = epoch;
      nameServer.registrations = [];
      await nameServer.listen(cluster.surroundings());
      await until(() => nameServer.registrations.length >= 2, "it tries more than once");
      t.is(identity.cluster, clusterId);
      t.is(identity.epoch, 1);
    }
  }));

test("a node can be stopped while it waits for its name server", async (t) => {
  const cluster = new TestCluster();
  const { node } = await cluster.start();
  t.false(node.isConnected);
  await cluster.close();
  t.false(node.isConnected);
});
