/**
 * A name server and real storage nodes in one process under a simulated clock, with a client that writes and reads blocks
 * as a mount does, a model of what its files hold, and a check that nodes hold what is named and nothing else.
 */
import { assert } from "../../../src/base/assert.ts";
import { blockChecksums, firstBadUnit } from "../../../src/base/checksum.ts";
import { sleep } from "../../../src/base/clock.ts";
import { blockName, type BlockId, type GroupId, type Ino, type NodeId } from "../../../src/base/ids.ts";
import { limits } from "../../../src/base/limits.ts";
import { seededRandom } from "../../../src/base/random.ts";
import { openIdentity, type NodeIdentity } from "../../../src/block-store/identity.ts";
import { memoryBackend } from "../../../src/block-store/memory-backend.ts";
import type { BlockStore } from "../../../src/block-store/types.ts";
import { blockOfKey, groupOfKey } from "../../../src/metadata-store/keys.ts";
import { decodeExtent, decodeGroup, type GroupRecord } from "../../../src/metadata-store/records.ts";
import { storageNodeMethods, type StorageNodeMethods } from "../../../src/protocol/storage-node.ts";
import type { ClusterMap, Extent } from "../../../src/protocol/types.ts";
import { connectPeer } from "../../../src/rpc/open.ts";
import type { Peer } from "../../../src/rpc/types.ts";
import { createStorageNode, type StorageNode } from "../../../src/storage-node/node.ts";
import { MiB, openStore } from "../../block-store/support.ts";
import { FaultyDisk } from "../../support/faulty-disk.ts";
import { live, TestClient, TestCluster, type ClusterOptions } from "../support.ts";

export interface RealNode {
  readonly node: StorageNode;
  readonly store: BlockStore;
  readonly identity: NodeIdentity;
}

export class RewriteCluster {
  readonly cluster: TestCluster;
  readonly nodes: RealNode[] = [];
  readonly #peers = new Map<NodeId, Peer<StorageNodeMethods>>();
  client!: TestClient;
  #numbers: BlockId[] = [];
  #map!: ClusterMap;
  readonly #own = new Set<string>();
  /** How long a node takes to store a block that the client did not write. */
  composeMillis = 0;

  private constructor(cluster: TestCluster) {
    this.cluster = cluster;
  }

  static async start(
    options: ClusterOptions & { readonly nodes?: number; readonly capacityBytes?: number } = {},
  ): Promise<RewriteCluster> {
    const { nodes = 3, capacityBytes = 1_024 * MiB, ...rest } = options;
    const started = new RewriteCluster(await TestCluster.start(rest));
    for (let i = 0; i < nodes; i++) await started.#startNode(i, capacityBytes);
    started.client = await TestClient.open(started.cluster);
    return started;
  }

  async #startNode(number: number, capacityBytes: number): Promise<void> {
    const { cluster } = this;
    const disk = new FaultyDisk(seededRandom(3_000 + number));
    const identity = await openIdentity(disk, seededRandom(1_000 + number));
    const opened = await openStore(disk, { identity, backend: memoryBackend(), clock: cluster.clock, capacityBytes });
    const store = this.#slow(opened);
    const address = { host: "memory", port: 7_500 + number };
    const node = await createStorageNode({
      ...{ store, identity, listen: address },
      surroundings: { ...cluster.surroundings, random: seededRandom(2_000 + number) },
      nameServers: [{ host: "127.0.0.1", port: 7_400 }],
    });
    this.nodes.push({ node, store, identity });
    for (let i = 0; i < 100 && !node.isConnected; i++) await cluster.clock.advance(50);
    const peer = await connectPeer(cluster.surroundings, {
      ...{ address, ownTable: {}, handlers: {}, remoteTable: storageNodeMethods },
      hello: { role: "client", id: "test" },
    });
    this.#peers.set(identity.node, peer);
  }

  #slow(store: BlockStore): BlockStore {
    return new Proxy(store, {
      get: (target, property) => {
        const value: unknown = Reflect.get(target, property, target);
        if (typeof value !== "function") return value;
        if (property !== "put") return value.bind(target) as unknown;
        return async (block: BlockId, ...rest: [Buffer, Buffer, { replaces?: boolean }?]): Promise<void> => {
          if (!this.#own.has(blockName(block))) await sleep(this.cluster.clock, this.composeMillis);
          await target.put(block, ...rest);
        };
      },
    });
  }

  pass(millis: number): Promise<void> {
    return live(this.cluster, millis, { clients: [this.client] });
  }

  /** Lets time pass until it holds. */
  async until(holds: () => boolean, what: string, millisMax = 600_000): Promise<void> {
    for (let passed = 0; passed < millisMax; passed += 1_000) {
      if (holds()) return;
      await this.pass(1_000);
    }
    throw new Error(`waited in vain: ${what}`);
  }

  async #number(): Promise<BlockId> {
    if (this.#numbers.length === 0) {
      const { ranges } = await this.client.change("allocateBlocks", { count: 64, avoid: [] });
      for (const { group, first, count } of ranges)
        for (let i = 0; i < count; i++) this.#numbers.push({ group, number: first + i });
    }
    const next = this.#numbers.shift();
    assert(next !== undefined, "numbers were given");
    this.#own.add(blockName(next));
    return next;
  }

  #group(id: GroupId): { epoch: number; nodes: readonly NodeId[] } {
    const found = this.#map.groups.find(({ group }) => group === id);
    if (found === undefined) throw new Error("no such group");
    return found;
  }

  /** As the store has them. */
  get groups(): (GroupRecord & { readonly group: GroupId })[] {
    return [...this.cluster.store.range({ gte: "g", lt: "h" })].map(([key, value]) => ({
      ...decodeGroup(value),
      group: groupOfKey(key),
    }));
  }

  async isMember({ identity }: RealNode, block: BlockId): Promise<boolean> {
    await this.refresh();
    return this.#group(block.group).nodes.includes(identity.node);
  }

  async refresh(): Promise<void> {
    this.#map = (await this.client.call("clusterMap", {})).map;
  }

  /** Writes one block with the bytes and names parts of it: `pieces` of the file in their order. */
  async writeBlock(ino: Ino, pieces: readonly { readonly offset: number; readonly bytes: Buffer }[]): Promise<BlockId> {
    const block = await this.#number();
    await this.refresh();
    const { epoch, nodes } = this.#group(block.group);
    const bytes = Buffer.concat(pieces.map((piece) => piece.bytes));
    const forward = nodes.slice(1).map((node) => ({ node, address: this.#addressOf(node) }));
    const write = { block, length: bytes.length, checksums: blockChecksums(block, bytes), forward };
    await (this.#peers.get(nodes[0] as NodeId) as Peer<StorageNodeMethods>).call("writeBlock", write, {
      payload: [bytes],
    });
    let blockOffset = 0;
    const extents = pieces.map(({ offset, bytes: { length } }): Extent => {
      const extent = { kind: "block" as const, offset, length, block, blockOffset };
      blockOffset += length;
      return extent;
    });
    await this.#name(ino, extents, [{ group: block.group, epoch }]);
    return block;
  }

  async writeInline(ino: Ino, offset: number, bytes: Buffer): Promise<void> {
    await this.#name(ino, [{ kind: "inline", offset, length: bytes.length, content: bytes }], []);
  }

  async #name(ino: Ino, extents: Extent[], epochs: { group: GroupId; epoch: number }[]): Promise<void> {
    await this.client.change("writeExtents", {
      ...{ ino, extents, epochs, size: 0, append: false, mtime: "now", clearPrivileges: false },
    });
  }

  #addressOf(node: NodeId): { host: string; port: number } {
    return this.#map.nodes.find(({ id }) => id === node)?.address ?? { host: "", port: 1 };
  }

  async extents(ino: Ino): Promise<Extent[]> {
    const all: Extent[] = [];
    for (let at: number | null = 0; at !== null;) {
      const reply: { extents: Extent[]; next: number | null } = await this.client.call("readExtents", {
        ...{ ino, offset: at, length: limits.fileBytesMax - at },
      });
      all.push(...reply.extents);
      at = reply.next;
    }
    return all;
  }

  /** As a client with a layout does: what an extent names, verified, from each member of its group; all must agree. */
  async bytesOf(extent: Extent): Promise<Buffer> {
    if (extent.kind === "inline") return extent.content;
    const { block, blockOffset, length } = extent;
    await this.refresh();
    let found: Buffer | undefined;
    for (const node of this.#group(block.group).nodes) {
      const peer = this.#peers.get(node) as Peer<StorageNodeMethods>;
      const { reply, payload } = await peer.call("readBlock", { block, offset: blockOffset, length });
      if (firstBadUnit(block, payload.bytes, reply.checksums, reply.start / 4_096) !== -1) throw new Error("damaged");
      const bytes = Buffer.from(payload.bytes.subarray(blockOffset - reply.start, blockOffset - reply.start + length));
      payload.release();
      if (found !== undefined && !found.equals(bytes)) throw new Error(`copies of ${blockName(block)} differ`);
      found = bytes;
    }
    return found as Buffer;
  }

  async read(ino: Ino): Promise<Buffer> {
    const { attributes } = await this.client.call("getattr", { ino });
    const content = Buffer.alloc(attributes.size);
    for (const extent of await this.extents(ino)) (await this.bytesOf(extent)).copy(content, extent.offset);
    return content;
  }

  /** The blocks that extents name. */
  named(): Set<string> {
    const named = new Set<string>();
    for (const [, value] of this.cluster.store.range({ gte: "e", lt: "f" })) {
      const record = decodeExtent(value);
      if (record.kind === "block") named.add(blockName(record.block));
    }
    return named;
  }

  /** What a node holds, by name, and bytes of all. */
  held({ store }: RealNode): Map<string, number> {
    const held = new Map<string, number>();
    for (const [key] of this.cluster.store.range({ gte: "g", lt: "h" })) {
      const { group } = blockOfKey(key + "\0\0\0\0\0\0");
      for (const { block, length } of store.list(group, 0, 1e6)) held.set(blockName(block), length);
    }
    return held;
  }

  get heldBytes(): number {
    let sum = 0;
    for (const node of this.nodes) for (const length of this.held(node).values()) sum += length;
    return sum;
  }

  /** Blocks that are not where they have to be, or are where they need not be. */
  async differences(): Promise<string[]> {
    await this.refresh();
    const wrong: string[] = [];
    const named = this.named();
    for (const node of this.nodes) {
      const held = this.held(node);
      for (const name of held.keys()) if (!named.has(name)) wrong.push(`${node.identity.node} still has ${name}`);
      for (const name of named) {
        const group = this.#group(Number(name.split("/")[0]) as GroupId);
        if (group.nodes.includes(node.identity.node) && !held.has(name))
          wrong.push(`${node.identity.node} lacks ${name}`);
      }
    }
    return wrong;
  }

  async stop(): Promise<void> {
    for (const { node, store } of this.nodes) {
      await node.close();
      await store.close();
    }
    await this.cluster.stop();
  }
}

/** Bytes that say where they belong. */
export function pattern(seed: number, length: number): Buffer {
  return seededRandom(seed + 1).bytes(length);
}
