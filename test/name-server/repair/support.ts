/** Clusters whose storage nodes only remember, with files that have blocks. */
import { limits } from "../../../src/base/limits.ts";
import { blockName, type BlockId, type Ino, type NodeId } from "../../../src/base/ids.ts";
import type { StatusReply } from "../../../src/protocol/status.ts";
import type { PlacementGroup } from "../../../src/protocol/types.ts";
import { live, TestClient, TestCluster, type ClusterOptions } from "../support.ts";
import { TestNode } from "../test-node.ts";

export const outMillis = 60_000;

export interface Played {
  readonly cluster: TestCluster;
  readonly client: TestClient;
  readonly nodes: TestNode[];
}

export async function start(count: number, options: ClusterOptions = {}): Promise<Played> {
  const cluster = await TestCluster.start({ nodeOutMillis: outMillis, ...options });
  const nodes: TestNode[] = [];
  for (let number = 1; number <= count; number++) nodes.push(await TestNode.up(cluster, number));
  const client = await TestClient.open(cluster);
  return { cluster, client, nodes };
}

export async function groupsOf(client: TestClient): Promise<PlacementGroup[]> {
  return (await client.call("clusterMap", {})).map.groups;
}

/** A file with so many blocks; every member of their groups holds them. */
export async function fill(
  { client, nodes }: Played,
  name: string,
  count: number,
): Promise<{ ino: Ino; blocks: BlockId[] }> {
  const { ranges, map } = await client.change("allocateBlocks", { count, avoid: [] });
  const blocks = ranges
    .flatMap(({ group, first, count: size }) => Array.from({ length: size }, (_, i) => ({ group, number: first + i })))
    .slice(0, count);
  const length = limits.blockBytesMax;
  const ino = await client.create(name);
  const groupOf = (block: BlockId): PlacementGroup =>
    map.groups.find(({ group }) => group === block.group) as PlacementGroup;
  for (const block of blocks) {
    for (const node of nodes) if (groupOf(block).nodes.includes(node.id)) node.held.set(blockName(block), length);
  }
  const groups = [...new Map(blocks.map((block) => [block.group, groupOf(block)])).values()];
  await client.change("writeExtents", {
    ino,
    extents: blocks.map((block, i) => ({ kind: "block" as const, offset: i * length, length, block, blockOffset: 0 })),
    epochs: groups.map(({ group, epoch }) => ({ group, epoch })),
    ...{ size: blocks.length * length, append: false, clearPrivileges: false },
  });
  return { ino, blocks };
}

export function status(cluster: TestCluster): StatusReply {
  return cluster.server.status();
}

/** Lets time pass until it holds. */
export async function eventually(
  { cluster, client }: Played,
  alive: readonly TestNode[],
  holds: () => boolean | Promise<boolean>,
  what: string,
  millis = 120_000,
): Promise<void> {
  for (let passed = 0; passed < millis; passed += 1_000) {
    if (await holds()) return;
    await live(cluster, 1_000, { clients: [client], nodes: alive });
  }
  throw new Error(
    `waited in vain: ${what}; ${JSON.stringify(status(cluster).repair)} ${status(cluster).warnings.join("; ")}`,
  );
}

/** Whether every member of every block's group holds it, and nobody copies. */
export async function areWhole({ client, nodes }: Played, blocks: readonly BlockId[]): Promise<boolean> {
  const groups = await groupsOf(client);
  return blocks.every((block) => {
    const group = groups.find((each) => each.group === block.group) as PlacementGroup;
    return (
      group.copying.length === 0 && group.nodes.every((id) => nodeOf(nodes, id)?.held.has(blockName(block)) === true)
    );
  });
}

export function nodeOf(nodes: readonly TestNode[], id: NodeId): TestNode | undefined {
  return nodes.find((node) => node.id === id);
}
