/** A storage node for a `TestCluster`. */
import { blockName, type ClusterId, type NodeId } from "../../src/base/ids.ts";
import type { CopyProblem } from "../../src/protocol/copy-methods.ts";
import type { NameServerMethods } from "../../src/protocol/name-server.ts";
import { storageNodeMethods, type StorageNodeMethods } from "../../src/protocol/storage-node.ts";
import type { Handlers, Peer, ReplyOf, RequestOf } from "../../src/rpc/types.ts";
import { settle } from "../support/simulated-clock.ts";
import type { TestCluster } from "./support.ts";

/** A storage node that stores nothing but remembers its orders. */
export class TestNode {
  readonly cluster: TestCluster;
  readonly id: NodeId;
  peer!: Peer<NameServerMethods>;
  freeBytes = 100 * 1024 ** 3;
  capacityBytes = 100 * 1024 ** 3;
  readonly deleted: string[] = [];
  /** What the node does before it answers an order to delete. */
  beforeDelete: () => void | Promise<void> = () => undefined;
  answersStatus = true;
  /** What it holds, as `group/number`, with lengths. */
  readonly held = new Map<string, number>();
  /** Blocks that it was told to copy, and from whom, order by order. */
  readonly copyOrders: { blocks: string[]; sources: NodeId[] }[] = [];
  /** What it says to an order to copy a block; by default it has it then. */
  onCopy: (block: string) => CopyProblem | undefined | Promise<CopyProblem | undefined> = () => undefined;

  /** How many requests of clients it saw during each of these orders. */
  foreground = 0;

  /** What it was asked to verify; what of that it calls damaged; how many passes were ordered. */
  readonly checked: string[][] = [];
  readonly damaged = new Set<string>();
  scrubs = 0;

  constructor(cluster: TestCluster, number: number) {
    this.cluster = cluster;
    this.id = number.toString(16).padStart(16, "0") as NodeId;
  }

  static async up(cluster: TestCluster, number: number): Promise<TestNode> {
    const node = new TestNode(cluster, number);
    await node.register();
    return node;
  }

  async connect(): Promise<void> {
    const unexpected = (): never => {
      throw new Error("not asked of this node");
    };
    const handlers: Handlers<StorageNodeMethods, NameServerMethods> = {
      writeBlock: unexpected,
      readBlock: unexpected,
      composeBlock: unexpected,
      deleteBlocks: async ({ blocks }) => {
        await this.beforeDelete();
        for (const block of blocks) {
          this.deleted.push(blockName(block));
          this.held.delete(blockName(block));
        }
        return {};
      },
      copyBlocks: (order) => this.#copy(order),
      listBlocks: ({ group, first, limit }) => ({
        blocks: [...this.held]
          .map(([name, length]) => ({ at: name.split("/").map(Number), length }))
          .filter(({ at }) => at[0] === group && (at[1] as number) >= first)
          .sort((a, b) => (a.at[1] as number) - (b.at[1] as number))
          .slice(0, limit)
          .map(({ at, length }) => ({ number: at[1] as number, length })),
      }),
      checkBlocks: ({ blocks }) => {
        this.checked.push(blocks.map(blockName));
        return {
          damaged: blocks.filter((block) => this.damaged.has(blockName(block))),
          missing: blocks.filter((block) => !this.held.has(blockName(block))),
        };
      },
      scrubNow: () => ({ ordered: ++this.scrubs }),
      nodeStatus: () =>
        this.answersStatus
          ? {
              node: this.id,
              cluster: null,
              capacityBytes: this.capacityBytes,
              usedBytes: this.capacityBytes - this.freeBytes,
              freeBytes: this.freeBytes,
              blocks: 0,
              segments: 0,
            }
          : new Promise(() => undefined),
    };
    this.peer = await this.cluster.connect({ role: "storage-node", id: this.id }, storageNodeMethods, handlers);
  }

  async #copy(order: RequestOf<StorageNodeMethods, "copyBlocks">): Promise<ReplyOf<StorageNodeMethods, "copyBlocks">> {
    const { blocks, sources } = order;
    this.copyOrders.push({
      blocks: blocks.map(({ block }) => blockName(block)),
      sources: sources.map(({ node }) => node),
    });
    const reply: ReplyOf<StorageNodeMethods, "copyBlocks"> = { copied: [], failed: [], foreground: this.foreground };
    for (const { block, length } of blocks) {
      const problem = await this.onCopy(blockName(block));
      if (problem !== undefined) reply.failed.push({ block, problem });
      else {
        this.held.set(blockName(block), length);
        reply.copied.push(block);
      }
    }
    return reply;
  }

  async register(more: Partial<RequestOf<NameServerMethods, "registerNode">> = {}): Promise<ClusterId> {
    await this.connect();
    const { reply } = await this.peer.call("registerNode", {
      node: this.id,
      cluster: null,
      address: { host: "127.0.0.1", port: 7500 + parseInt(this.id, 16) },
      hostLabel: "",
      capacityBytes: this.capacityBytes,
      usedBytes: this.capacityBytes - this.freeBytes,
      freeBytes: this.freeBytes,
      greatest: [],
      ...more,
    });
    return reply.cluster;
  }

  async heartbeat(): Promise<void> {
    await this.peer.call("nodeHeartbeat", {
      usedBytes: this.capacityBytes - this.freeBytes,
      freeBytes: this.freeBytes,
      blocks: 0,
    });
  }

  async disconnect(): Promise<void> {
    this.peer.close("test");
    await settle();
  }
}
