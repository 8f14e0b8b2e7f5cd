/**
 * A name server that keeps extents, and storage nodes that keep blocks in a Map, behind the contracts that the cache
 * calls. Every call takes as long as `delay` says; faults are injected by the `fail...` functions.
 */
import { FsError, type ErrnoName } from "../../src/base/errno.ts";
import { toGroupId, toIno, type BlockId, type ClusterId, type Ino, type SessionId } from "../../src/base/ids.ts";
import type { Attributes } from "../../src/base/attributes.ts";
import { limits } from "../../src/base/limits.ts";
import { cutExtents, extentEnd, joinExtents } from "../../src/protocol/extents.ts";
import { nothingAhead } from "../support/closed-log.ts";
import type { NameServerMethods } from "../../src/protocol/name-server.ts";
import type { Extent } from "../../src/protocol/types.ts";
import type { BlockReader, BlockWriter, NameServer } from "../../src/remote/types.ts";
import type { ReplyOf, RequestOf } from "../../src/rpc/types.ts";

export const ino = toIno(7);

type WriteRequest = Omit<RequestOf<NameServerMethods, "writeExtents">, "op">;
type CompactRequest = Omit<RequestOf<NameServerMethods, "compactExtents">, "op">;

export interface FakeFile {
  extents: Extent[];
  size: number;
  mtime: bigint;
  cleared: number;
}

export interface Faults {
  /** Errno of the next block write, commit or block read, if it is to fail. */
  blockWrite?: () => ErrnoName | undefined;
  commit?: (request: WriteRequest) => ErrnoName | undefined;
  blockRead?: (block: BlockId) => ErrnoName | undefined;
}

export class FakeCluster {
  readonly files = new Map<number, FakeFile>();
  readonly blocks = new Map<string, Buffer>();
  readonly named = new Set<string>();
  readonly requests: { method: string; request: unknown }[] = [];
  readonly reads: { offset: number; length: number }[] = [];
  writesInFlight = 0;
  writesInFlightMost = 0;
  bytesFree = Infinity;
  extentsPerReply: number = limits.extentsPerMessageMax;
  delay: () => Promise<void> = () => Promise.resolve();
  faults: Faults = {};
  #number = 0;
  epoch = 1;

  file(which: Ino = ino): FakeFile {
    let file = this.files.get(which);
    if (file === undefined) this.files.set(which, (file = { extents: [], size: 0, mtime: 0n, cleared: 0 }));
    return file;
  }

  attributes(which: Ino = ino): Attributes {
    const { size, mtime } = this.file(which);
    const times = { atime: 0n, mtime, ctime: mtime, btime: 0n };
    const owner = { uid: 0, gid: 0, rdev: 0, nlink: 1 };
    return { ino: which, mode: 0o100644, ...owner, size, blocks: 0, ...times, hasXattrs: false };
  }

  /** What a fresh client would read. */
  content(which: Ino = ino): Buffer {
    const file = this.file(which);
    const out = Buffer.alloc(file.size);
    for (const extent of file.extents) this.#bytesOf(extent).copy(out, extent.offset);
    return out;
  }

  count(method: string): number {
    return this.requests.filter((request) => request.method === method).length;
  }

  truncate(size: number, which: Ino = ino): void {
    const file = this.file(which);
    this.#cut(file, size, Math.max(file.size, size) + 1);
    file.size = size;
  }

  punch(start: number, end: number, which: Ino = ino): void {
    this.#cut(this.file(which), start, end);
  }

  readonly nameServer: NameServer = {
    ...nothingAhead,
    ask: async (method, request) => {
      await this.delay();
      this.requests.push({ method, request });
      if (method !== "readExtents") throw new FsError("ENOSYS", method);
      const reply = this.#readExtents(request as RequestOf<NameServerMethods, "readExtents">);
      await this.delay();
      return reply as ReplyOf<NameServerMethods, typeof method>;
    },
    change: async (method, request) => {
      this.requests.push({ method, request });
      await this.delay();
      let reply: unknown;
      if (method === "writeExtents") reply = this.#writeExtents(request as unknown as WriteRequest);
      else if (method === "compactExtents") reply = this.#compact(request as unknown as CompactRequest);
      else throw new FsError("ENOSYS", method);
      await this.delay();
      return reply as ReplyOf<NameServerMethods, typeof method>;
    },
    tell: () => undefined,
    session: "0000000000000001" as SessionId,
    cluster: "0000000000000002" as ClusterId,
    nowNanos: () => 0n,
    bytesFree: Infinity,
    map: { version: 1, replicas: 1, nodes: [], groups: [] },
    close: () => Promise.resolve(),
  };

  /** Blocks that were written in vain. */
  readonly discarded: BlockId[] = [];
  readonly writer: BlockWriter = {
    discard: (block) => {
      this.discarded.push(block);
    },
    write: async (pieces) => {
      this.writesInFlightMost = Math.max(this.writesInFlightMost, ++this.writesInFlight);
      const before = Buffer.concat(pieces);
      await this.delay();
      this.writesInFlight--;
      const errno = this.faults.blockWrite?.();
      if (errno !== undefined) throw new FsError(errno, "injected");
      const bytes = Buffer.concat(pieces);
      if (!before.equals(bytes)) throw new Error("a block's bytes changed while it was written");
      if (bytes.length === 0 || bytes.length > limits.blockBytesMax)
        throw new Error(`a block of ${String(bytes.length)}`);
      const block = { group: toGroupId(this.#number % 3), number: ++this.#number };
      this.blocks.set(keyOf(block), bytes);
      return { block, epoch: this.epoch };
    },
  };

  /** Lent memory that was given back. */
  returned = 0;
  readonly reader: BlockReader = {
    read: async (block, offset, length) => (await this.reader.lend(block, offset, length)).bytes,
    lend: async (block, offset, length) => {
      this.reads.push({ offset, length });
      await this.delay();
      const errno = this.faults.blockRead?.(block);
      if (errno !== undefined) throw new FsError(errno, "injected");
      const bytes = this.blocks.get(keyOf(block));
      if (bytes === undefined) throw new FsError("ENOENT", "no such block");
      if (offset + length > bytes.length) throw new FsError("EINVAL", "read past the end of a block");
      const lent = Buffer.from(bytes.subarray(offset, offset + length));
      let isReleased = false;
      const release = (): void => {
        if (isReleased) throw new Error("memory was given back twice");
        isReleased = true;
        // Whoever reads it all the same is found out.
        lent.fill(0xdb);
        this.returned++;
      };
      return { bytes: lent, release };
    },
  };

  #readExtents({ ino: which, offset, length }: RequestOf<NameServerMethods, "readExtents">): unknown {
    const { extents } = this.file(which);
    const found = extents.filter((extent) => extent.offset < offset + length && extentEnd(extent) > offset);
    const cut = found.slice(0, this.extentsPerReply);
    const last = cut.at(-1);
    const next = cut.length < found.length && last !== undefined ? extentEnd(last) : null;
    return { attributes: this.attributes(which), extents: cut, next };
  }

  #writeExtents(request: WriteRequest): unknown {
    const errno = this.faults.commit?.(request);
    if (errno !== undefined) throw new FsError(errno, "injected");
    const file = this.file(request.ino);
    if (request.epochs.some(({ epoch }) => epoch !== this.epoch)) throw new FsError("ESTALE", "the epoch moved");
    const appendedAt = file.size;
    const base = request.append ? file.size : 0;
    let previous = -1;
    const blocks = new Set<string>();
    for (const extent of request.extents) {
      if (extent.offset < previous) throw new FsError("EINVAL", "extents overlap");
      previous = extentEnd(extent);
      if (extent.kind !== "block") continue;
      const bytes = this.blocks.get(keyOf(extent.block));
      if (bytes === undefined || extent.blockOffset + extent.length > bytes.length)
        throw new FsError("EINVAL", "block");
      blocks.add(keyOf(extent.block));
    }
    for (const block of blocks) {
      if (this.named.has(block)) throw new FsError("EINVAL", "a block is named twice");
      this.named.add(block);
    }
    for (const extent of request.extents) {
      const own = extent.kind === "inline" ? { ...extent, content: Buffer.from(extent.content) } : extent;
      this.#put(file, { ...own, offset: own.offset + base });
    }
    file.size = Math.max(file.size, base + request.size, ...file.extents.slice(-1).map(extentEnd));
    if (typeof request.mtime === "bigint") file.mtime = request.mtime;
    if (request.clearPrivileges) file.cleared++;
    return { attributes: this.attributes(request.ino), appendedAt };
  }

  #compact({ ino: which, before, after }: CompactRequest): unknown {
    const file = this.file(which);
    const start = before[0]?.offset ?? 0;
    const end = Math.max(...before.map(extentEnd));
    const now = file.extents.filter((extent) => extent.offset < end && extentEnd(extent) > start);
    if (JSON.stringify(now) !== JSON.stringify(before)) throw new FsError("EAGAIN", "changed");
    for (const extent of after) this.#put(file, extent);
    return {};
  }

  #put(file: FakeFile, extent: Extent): void {
    const at = this.#cut(file, extent.offset, extentEnd(extent));
    const left = file.extents[at - 1];
    const joined = left === undefined ? undefined : joinExtents(left, extent);
    if (joined === undefined) file.extents.splice(at, 0, extent);
    else file.extents[at - 1] = joined;
  }

  /** Makes a hole; returns where in the list it is. */
  #cut(file: FakeFile, start: number, end: number): number {
    const { extents } = file;
    let low = 0;
    for (let high = extents.length; low < high;) {
      const middle = (low + high) >>> 1;
      const extent = extents[middle];
      if (extent !== undefined && extentEnd(extent) <= start) low = middle + 1;
      else high = middle;
    }
    let after = low;
    while ((extents[after]?.offset ?? Infinity) < end) after++;
    const rest = cutExtents(extents.slice(low, after), start, end);
    extents.splice(low, after - low, ...rest);
    return low + rest.filter((extent) => extent.offset < start).length;
  }

  #bytesOf(extent: Extent): Buffer {
    if (extent.kind === "inline") return extent.content;
    const bytes = this.blocks.get(keyOf(extent.block));
    if (bytes === undefined) throw new Error(`block ${keyOf(extent.block)} is not there`);
    return bytes.subarray(extent.blockOffset, extent.blockOffset + extent.length);
  }
}

function keyOf(block: BlockId): string {
  return `${String(block.group)}/${String(block.number)}`;
}
