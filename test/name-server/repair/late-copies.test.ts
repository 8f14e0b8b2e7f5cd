/** Copies that arrive when their order is over: nothing that nobody needs is left for ever. */
import test from "ava";
import { limits } from "../../../src/base/limits.ts";
import { nameFromText } from "../../../src/base/name.ts";
import { live, root, rootIno } from "../support.ts";
import type { TestNode } from "../test-node.ts";
import { eventually, fill, groupsOf, outMillis, start, status, type Played } from "./support.ts";

const roundMillis = 60_000;
const never = 1_000 * 3_600_000;

interface Late extends Played {
  /** Copies, and does not come to the end of it. */
  readonly target: TestNode;
  readonly others: TestNode[];
  /** Of a block that it was told to copy. */
  readonly block: string;
  /** The copies arrive. */
  readonly arrive: () => void;
}

/** A member that copies in the place of one that is gone, and whose copies are on their way. */
async function copying(count: number, compareRoundMillis: number): Promise<Late> {
  const played = await start(count, { compareRoundMillis });
  const { cluster, client, nodes } = played;
  await fill(played, "file", 24);
  const gone = nodes.find(({ held }) => held.size > 0) as TestNode;
  await gone.disconnect();
  let arrive = (): void => undefined;
  const arrived = new Promise<void>((resolve) => {
    arrive = resolve;
  });
  const alive = nodes.filter((node) => node !== gone);
  let target: TestNode | undefined;
  for (const node of alive) {
    node.onCopy = async () => {
      target ??= node;
      if (node === target) await arrived;
      return undefined;
    };
  }
  await eventually(played, alive, () => target !== undefined, "somebody is told to copy");
  const chosen = target as unknown as TestNode;
  const block = chosen.copyOrders[0]?.blocks[0] as string;
  return {
    cluster,
    client,
    nodes: alive,
    target: chosen,
    others: alive.filter((node) => node !== chosen),
    block,
    arrive,
  };
}

/** The file is removed, and its blocks are deleted wherever they are. */
async function remove(late: Late, alive: readonly TestNode[]): Promise<void> {
  const { cluster, client } = late;
  await client.change("unlink", { caller: root, parent: rootIno, name: nameFromText("file"), keep: false });
  await live(cluster, limits.reclaimGraceMillis, { clients: [client], nodes: alive });
  await eventually(late, alive, () => late.others.every(({ held }) => held.size === 0), "it is deleted");
}

async function registerAgain(node: TestNode): Promise<void> {
  const groups = [...new Set([...node.held.keys()].map((name) => Number(name.split("/")[0])))];
  await node.register({
    cluster: node.cluster.server.cluster,
    greatest: groups.map((group) => ({ group: group as never, number: 0 })),
  });
}

test("a copy of a block that was deleted meanwhile is deleted, too, with the answer to its order", async (t) => {
  const late = await copying(3, never);
  const { cluster, nodes, target, block, arrive } = late;
  await remove(late, nodes);
  t.true(target.deleted.includes(block), "its deletion came before it");
  t.false(target.held.has(block));
  arrive();
  await eventually(late, nodes, () => target.held.has(block), "it arrives");
  await eventually(late, nodes, () => target.held.size === 0, "nothing is left");
  await cluster.stop();
});

test("nor is it left when the answer is lost, and the copy arrives after the node was compared", async (t) => {
  const late = await copying(3, roundMillis);
  const { cluster, nodes, target, block, arrive } = late;
  await remove(late, nodes);
  await target.disconnect();
  await registerAgain(target);
  await eventually(late, nodes, () => status(cluster).repair.comparing === 0, "it is compared");
  arrive();
  await live(cluster, 1_000, { clients: [late.client], nodes });
  t.true(target.held.has(block));
  await eventually(late, nodes, () => target.held.size === 0, "nothing is left", 4 * roundMillis);
  await cluster.stop();
});

test("nor when the name server has died between copy and discarding", async (t) => {
  const late = await copying(3, roundMillis);
  const { cluster, client, nodes, target, block, arrive } = late;
  await remove(late, nodes);
  await cluster.crash();
  for (const node of nodes) await registerAgain(node);
  await client.resume();
  await eventually(late, nodes, () => status(cluster).repair.comparing === 0, "they are compared");
  arrive();
  await live(cluster, 1_000, { clients: [client], nodes });
  t.true(target.held.has(block));
  await eventually(late, nodes, () => target.held.size === 0, "nothing is left", 4 * roundMillis);
  await cluster.stop();
});

test("copies that arrive at a node that is no member any more are deleted there, named or not", async (t) => {
  const late = await copying(5, roundMillis);
  const { cluster, client, nodes, target, others, arrive } = late;
  await target.disconnect();
  // It comes back when others have taken all its places, and has no space for more.
  const isLeft = async (): Promise<boolean> => {
    const groups = await groupsOf(client);
    return groups.every((group) => !group.nodes.includes(target.id) && group.copying.length === 0);
  };
  await eventually(late, others, isLeft, "others have its places", 2 * outMillis);
  target.freeBytes = 0;
  target.held.clear();
  await registerAgain(target);
  // Also in a round that began when it was a member.
  await live(cluster, 2 * roundMillis, { clients: [client], nodes });
  arrive();
  await live(cluster, 1_000, { clients: [client], nodes });
  t.true(target.held.size > 0);
  await eventually(late, nodes, () => target.held.size === 0, "nothing is left there", 4 * roundMillis);
  const held = others.flatMap((node) => [...node.held.keys()]);
  t.is(held.length, 48, "two copies of each block are at the members");
  await cluster.stop();
});
