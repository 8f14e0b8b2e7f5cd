import test from "ava";
import { limits } from "../../../src/base/limits.ts";
import type { BlockId, GroupId, NodeId } from "../../../src/base/ids.ts";
import { silentLog } from "../../../src/base/log.ts";
import { createBackground } from "../../../src/name-server/background.ts";
import type { Nodes } from "../../../src/name-server/nodes.ts";
import { createDamage, type Damage } from "../../../src/name-server/scrub/damage.ts";
import { settle } from "../../support/simulated-clock.ts";
import { live, TestClient, TestCluster } from "../support.ts";
import { TestNode } from "../test-node.ts";

const block = (number: number): BlockId => ({ group: 1 as GroupId, number });

test("a complaint of a client is looked into by the node itself", async (t) => {
  const cluster = await TestCluster.start();
  const nodes = [await TestNode.up(cluster, 1), await TestNode.up(cluster, 2)];
  const client = await TestClient.open(cluster);
  const [node] = nodes as [TestNode];
  await client.call("reportNode", { node: node.id, problem: "corrupt", block: block(5) });
  await client.call("reportNode", { node: node.id, problem: "missing", block: block(6) });
  await live(cluster, 100, { clients: [client], nodes });
  t.deepEqual(node.checked.flat().sort(), ["1/5", "1/6"]);
  await cluster.stop();
});

test("only an operator orders a scrub, and only a storage node reports damage", async (t) => {
  const cluster = await TestCluster.start();
  const nodes = [await TestNode.up(cluster, 1), await TestNode.up(cluster, 2)];
  const client = await TestClient.open(cluster);
  await t.throwsAsync(client.call("scrubAll", {}), { message: /EPERM/ });
  await t.throwsAsync(client.call("reportDamage", { blocks: [block(1)] }), { message: /ENOTCONN/ });
  await (nodes[1] as TestNode).disconnect();
  await live(cluster, 20_000, { clients: [client], nodes: [nodes[0] as TestNode] });
  const admin = new TestClient(cluster);
  await admin.connect("admin");
  const { reply } = await admin.peer.call("scrubAll", {});
  t.is(nodes[0]?.scrubs, 1);
  t.deepEqual(
    reply.nodes.map(({ ordered, problem }) => [ordered, problem]),
    [
      [1, ""],
      [null, "it is down"],
    ],
  );
  await cluster.stop();
});

/** A node that answers when the test says so. */
function alone(): { damage: Damage; suspects: string[]; asked: BlockId[][]; answer: (damaged: BlockId[]) => void } {
  const asked: BlockId[][] = [];
  const suspects: string[] = [];
  let answer: (damaged: BlockId[]) => void = () => undefined;
  const peer = {
    call: (_method: string, { blocks }: { blocks: BlockId[] }) => {
      asked.push(blocks);
      return new Promise((resolve) => {
        answer = (damaged) => {
          resolve({ reply: { damaged, missing: [] } });
        };
      });
    },
  };
  const nodes = { get: () => ({ peer }) } as unknown as Nodes;
  const damage = createDamage({
    ...{ nodes, log: silentLog, background: createBackground(silentLog), epoch: () => 1 },
    suspect: (node, { number }) => void suspects.push(`${node} ${String(number)}`),
  });
  return {
    ...{ damage, suspects, asked },
    answer: (damaged) => {
      answer(damaged);
    },
  };
}

test("what the node confirms is suspect, and nothing else", async (t) => {
  const { damage, suspects, answer, asked } = alone();
  const node = "00000000000000aa" as NodeId;
  damage.complain(node, block(1));
  damage.complain(node, block(2));
  await settle();
  t.deepEqual(asked, [[block(1)]]);
  answer([]);
  await settle();
  t.deepEqual(asked[1], [block(2)]);
  answer([block(2)]);
  await settle();
  t.deepEqual(suspects, [`${node} 2`]);
});

test("only so many complaints wait", async (t) => {
  const { damage, answer, asked } = alone();
  const node = "00000000000000aa" as NodeId;
  for (let number = 0; number < limits.complaintsMax + 100; number++) damage.complain(node, block(number));
  for (let order = 0; order < 10; order++) {
    await settle();
    answer([]);
  }
  t.is(asked.flat().length, limits.complaintsMax + 1);
});
