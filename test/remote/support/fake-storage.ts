/** Storage nodes in memory, and the part of a name server that hands out numbers of their groups. */
import { blockChecksums, firstBadUnit } from "../../../src/base/checksum.ts";
import { FsError } from "../../../src/base/errno.ts";
import { blockName, toGroupId, type BlockId, type NodeId, type SessionId } from "../../../src/base/ids.ts";
import { limits } from "../../../src/base/limits.ts";
import { silentLog } from "../../../src/base/log.ts";
import type { StorageNodeMethods } from "../../../src/protocol/storage-node.ts";
import type { BlockRange, ClusterMap } from "../../../src/protocol/types.ts";
import { createBlockReader } from "../../../src/remote/block-reader.ts";
import { createBlockWriter } from "../../../src/remote/block-writer.ts";
import type { Connect, NoMethods } from "../../../src/remote/connect.ts";
import { NodePool } from "../../../src/remote/node-pool.ts";
import { createNodeReports } from "../../../src/remote/node-reports.ts";
import type { BlockReader, BlockWriter, NameServer } from "../../../src/remote/types.ts";
import type { RequestOf } from "../../../src/rpc/types.ts";
import { SimulatedClock } from "../../support/simulated-clock.ts";
import { Bytes, FakePeer, type FakeCall } from "./fake-peer.ts";

type WriteBlock = RequestOf<StorageNodeMethods, "writeBlock">;
type ReadBlock = RequestOf<StorageNodeMethods, "readBlock">;

const unit = limits.checksumUnitBytes;

export class FakeNode {
  readonly id: NodeId;
  readonly blocks = new Map<string, Buffer>();
  readonly peers: FakePeer<StorageNodeMethods>[] = [];
  isDown = false;
  /** Its connections are stuck: calls settle only when they break. */
  ignoresDeadlines = false;
  connects = 0;
  /** Comes before the normal answer; `undefined` means: go on normally. */
  intercept: (call: FakeCall) => unknown = () => undefined;
  readonly #cluster: FakeCluster;

  constructor(cluster: FakeCluster, index: number) {
    this.#cluster = cluster;
    this.id = index.toString(16).padStart(16, "0") as NodeId;
  }

  get calls(): FakeCall[] {
    return this.peers.flatMap(({ calls }) => calls);
  }

  connect(): Promise<FakePeer<StorageNodeMethods>> {
    this.connects++;
    if (this.isDown) return Promise.reject(new FsError("ECONNREFUSED", `${this.id} is down`));
    const identity = { role: "storage-node", id: this.id } as const;
    const peer = new FakePeer<StorageNodeMethods>(this.#cluster.clock, (call) => this.#answer(call), identity);
    peer.ignoresDeadlines = this.ignoresDeadlines;
    this.peers.push(peer);
    return Promise.resolve(peer);
  }

  kill(): void {
    this.isDown = true;
    for (const peer of this.peers) peer.close(`${this.id} was killed`);
  }

  store(request: WriteBlock, bytes: Buffer): void {
    if (this.isDown) throw new FsError("ECONNREFUSED", "down");
    if (firstBadUnit(request.block, bytes, request.checksums) !== -1) throw new FsError("EBADMSG", "bad checksum");
    const key = blockName(request.block);
    if (this.blocks.get(key)?.equals(bytes) === false) throw new FsError("EEXIST", key);
    this.blocks.set(key, bytes);
    for (const { node } of request.forward) {
      const next = this.#cluster.node(node);
      if (next.isDown) throw new FsError("EIO", `the chain failed: node ${node}: ECONNREFUSED`);
      next.store({ ...request, forward: [] }, bytes);
    }
  }

  async #answer(call: FakeCall): Promise<unknown> {
    const before = await this.intercept(call);
    if (before !== undefined) return before;
    if (call.method === "writeBlock") {
      this.store(call.request as WriteBlock, Buffer.concat(call.options.payload ?? []));
      return {};
    }
    const { block, offset, length } = call.request as ReadBlock;
    const bytes = this.blocks.get(blockName(block));
    if (bytes === undefined) throw new FsError("ENOENT", blockName(block));
    const start = offset - (offset % unit);
    const part = Buffer.from(bytes.subarray(start, Math.ceil((offset + length) / unit) * unit));
    return new Bytes({ start, checksums: blockChecksums(block, part, start / unit) }, part);
  }
}

export class FakeCluster {
  readonly clock = new SimulatedClock();
  readonly nodes: FakeNode[];
  readonly reports: { node: NodeId; problem: string }[] = [];
  readonly allocations: { count: number; avoid: readonly NodeId[] }[] = [];
  map: ClusterMap;
  session = "5e55105e55105e55" as SessionId;
  /** As they were told, request by request. */
  readonly discarded: string[][] = [];
  /** Thrown by allocateBlocks while it is set. */
  allocationError: Error | undefined;
  readonly pool: NodePool;
  readonly reader: BlockReader;
  readonly writer: BlockWriter;
  readonly nameServer: Pick<NameServer, "ask" | "change" | "map" | "session">;
  readonly #next = new Map<number, number>();

  /** Groups of two: every pair of nodes, both ways round. */
  constructor(nodeCount: number) {
    this.nodes = Array.from({ length: nodeCount }, (_, i) => new FakeNode(this, i + 1));
    const pairs = this.nodes.flatMap((a) => this.nodes.filter((b) => b !== a).map((b) => [a.id, b.id]));
    this.map = {
      version: 1,
      replicas: 2,
      nodes: this.nodes.map(({ id }, i) => ({ id, address: { host: "n", port: i + 1 }, state: "up" })),
      groups: pairs.map((nodes, i) => ({ group: toGroupId(i), epoch: 10 + i, nodes, copying: [] })),
    };
    const map = (): ClusterMap => this.map;
    const session = (): SessionId => this.session;
    this.nameServer = {
      ask: ((method: string, request: unknown) => {
        if (method === "reportNode") this.reports.push(request as { node: NodeId; problem: string });
        return Promise.resolve({ map: this.map });
      }) as unknown as NameServer["ask"],
      change: ((method: string, request: { count: number; avoid: NodeId[]; blocks: BlockId[] }) => {
        if (method !== "discardBlocks") return this.#allocate(request);
        this.discarded.push(request.blocks.map(blockName));
        return Promise.resolve({});
      }) as unknown as NameServer["change"],
      get map() {
        return map();
      },
      get session() {
        return session();
      },
    };
    const { clock, nameServer } = this;
    const log = silentLog;
    this.pool = new NodePool({ connect: this.connect, clock, log, clientName: "a test", map: () => this.map });
    const reports = createNodeReports({ nameServer, clock, log });
    this.reader = createBlockReader({ nameServer, nodes: this.pool, reports, clock, log });
    this.writer = createBlockWriter({ nameServer, nodes: this.pool, reports, clock, log });
  }

  connect: Connect<NoMethods, StorageNodeMethods> = ({ port }) => {
    const node = this.nodes[port - 1];
    return node === undefined ? Promise.reject(new FsError("EHOSTUNREACH", "nobody")) : node.connect();
  };

  node(id: NodeId): FakeNode {
    const found = this.nodes.find((node) => node.id === id);
    if (found === undefined) throw new Error(`no node ${id}`);
    return found;
  }

  members(block: BlockId): FakeNode[] {
    return (this.map.groups[block.group]?.nodes ?? []).map((id) => this.node(id));
  }

  setState(id: NodeId, state: "up" | "down"): void {
    this.map = {
      ...this.map,
      version: this.map.version + 1,
      nodes: this.map.nodes.map((node) => (node.id === id ? { ...node, state } : node)),
    };
  }

  async #allocate(request: { count: number; avoid: NodeId[] }): Promise<{ ranges: BlockRange[]; map: ClusterMap }> {
    this.allocations.push(request);
    await Promise.resolve();
    if (this.allocationError !== undefined) throw this.allocationError;
    const isUp = (id: NodeId): boolean => this.map.nodes.some((node) => node.id === id && node.state === "up");
    const healthy = this.map.groups.filter(({ nodes }) => nodes.every(isUp));
    if (healthy.length === 0) throw new FsError("EAGAIN", "no healthy group");
    const wished = healthy.filter(({ nodes }) => !nodes.some((id) => request.avoid.includes(id)));
    const groups = wished.length > 0 ? wished : healthy;
    const each = Math.ceil(request.count / groups.length);
    const ranges = groups.map(({ group }) => {
      const first = this.#next.get(group) ?? 1;
      this.#next.set(group, first + each);
      return { group, first, count: each };
    });
    return { ranges, map: this.map };
  }
}

export function content(length: number, seed = 1): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >> 8) + seed * 7) & 0xff;
  return bytes;
}
