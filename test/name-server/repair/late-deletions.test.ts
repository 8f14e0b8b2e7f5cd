/** A former member's blocks are deleted while they are named, and it may be a member again before that is done. */
import test from "ava";
import { pattern, RewriteCluster, type RealNode } from "../rewrite/support.ts";
import { TestClient } from "../support.ts";

test("a node that comes to a deletion when it is a member again is not taken for whole before", async (t) => {
  const cluster = await RewriteCluster.start({ nodes: 3, nodeOutMillis: 20_000 });
  const ino = await cluster.client.create("file");
  const bytes = pattern(1, 100_000);
  for (let at = 0; at < bytes.length; at += 10_000)
    await cluster.writeBlock(ino, [{ offset: at, bytes: bytes.subarray(at, at + 10_000) }]);
  const late = cluster.nodes.find((node) => cluster.held(node).size > 0) as RealNode;
  const held = [...cluster.held(late).keys()];
  // As behind a copy by compaction.
  const { store, identity } = late;
  const remove = store.remove.bind(store);
  let ordered = 0;
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  store.remove = async (blocks) => {
    ordered += blocks.length;
    await opened;
    await remove(blocks);
  };
  const operator = new TestClient(cluster.cluster);
  await operator.connect("admin");
  const decide = (decision: "drain" | "undrain"): Promise<unknown> =>
    operator.call("decideNode", { node: identity.node, decision });
  await decide("drain");
  await cluster.until(() => ordered > 0, "it is told to delete what it has");
  await decide("undrain");
  // Its groups need it: those that have blocks, too.
  const other = cluster.nodes.find((node) => node !== late) as RealNode;
  await other.node.close();
  const groups = new Set(held.map((name) => Number(name.split("/")[0])));
  const its = (): { isMember: boolean; isCopying: boolean }[] =>
    cluster.groups
      .filter(({ group }) => groups.has(group))
      .map(({ nodes, copying }) => ({
        isMember: nodes.includes(identity.node),
        isCopying: copying.includes(identity.node),
      }));
  await cluster.until(() => its().every(({ isMember }) => isMember), "it is a member again");
  await cluster.pass(60_000);
  t.deepEqual(held, [...cluster.held(late).keys()], "the deletion is still to come");
  open();
  await cluster.until(() => its().every(({ isCopying }) => !isCopying), "it is whole");
  await cluster.pass(5_000);
  t.deepEqual(await cluster.differences(), []);
  t.true((await cluster.read(ino)).equals(bytes));
  await cluster.stop();
});
