/** A namespace in memory, its methods one line each, and a check of everything that must always hold. */
import { FsError, type ErrnoName } from "../../../src/base/errno.ts";
import { rootIno, type BlockId, type GroupId, type Ino, type NodeId, type SessionId } from "../../../src/base/ids.ts";
import { nameFromText, type Name } from "../../../src/base/name.ts";
import { keys } from "../../../src/metadata-store/keys.ts";
import { encodeGroup, encodeRange, freshRange } from "../../../src/metadata-store/records.ts";
import { OrderedMap } from "../../../src/metadata-store/ordered-map.ts";
import type { Change, Key, MetadataReader } from "../../../src/metadata-store/types.ts";
import type { Attributes } from "../../../src/base/attributes.ts";
import { nameServerMethods } from "../../../src/protocol/name-server.ts";
import type { CallerIdentity } from "../../../src/protocol/types.ts";
import {
  Allocator,
  initialize,
  namespaceMethods,
  Transaction,
  type NamespaceMethod,
  type OperationContext,
  type Reply,
  type Request,
  type Space,
} from "../../../src/name-server/namespace/index.ts";

/** The simplest store: applied is there. */
export class MemoryReader implements MetadataReader {
  readonly #map = new OrderedMap();

  get(key: Key): Buffer | undefined {
    return this.#map.get(key) ?? undefined;
  }

  *range({ limit = Infinity, ...bounds }: Parameters<MetadataReader["range"]>[0]): Generator<readonly [Key, Buffer]> {
    let left = limit;
    for (const [key, value] of this.#map.range(bounds)) {
      if (value === null) continue;
      if (left-- <= 0) return;
      yield [key, value];
    }
  }

  apply(changes: readonly Change[]): void {
    for (const [key, value] of changes) {
      if (value === null) this.#map.delete(key);
      else this.#map.set(key, value);
    }
  }
}

export const root: CallerIdentity = { uid: 0, gid: 0, groups: [] };
export const alice: CallerIdentity = { uid: 1000, gid: 1000, groups: [2000] };
export const bob: CallerIdentity = { uid: 1001, gid: 1001, groups: [] };
export const session = "00000000000000a1" as SessionId;
export const otherSession = "00000000000000b2" as SessionId;
export const group = 3 as GroupId;
export const groupEpoch = 7;

export const n = (text: string): Name => nameFromText(text);

type Without<M extends NamespaceMethod> = Omit<Request<M>, "op">;

export class Namespace {
  readonly store = new MemoryReader();
  allocator: Allocator;
  now = 1_000_000_000n;
  others: SessionId[] = [];
  space: Space = { bytesTotal: 2 ** 40, bytesFree: 2 ** 39, filesFree: 1_000_000, metadataFull: false };
  orphaned: Ino[] = [];
  halfDead: BlockId[] = [];
  checkpoints = 0;
  /** Whether requests and replies pass the protocol's validators, as on the wire. */
  checksMessages = true;
  keysMax = 0;
  /** Called at each checkpoint, with what is committed by then: for checks of states in between. */
  onCheckpoint: (() => void) | undefined;
  #nextBlock = 1;

  constructor() {
    const transaction = new Transaction(this.store);
    initialize(transaction, this.now);
    const node = "0000000000000001" as NodeId;
    transaction.put(
      keys.group(group),
      encodeGroup({ epoch: groupEpoch, nodes: [node], copying: [], replicas: 1, nextNumber: 1 }),
    );
    this.store.apply(transaction.changes());
    this.allocator = new Allocator(this.store);
  }

  /** As after a crash of the server: only the store is left. */
  restart(): void {
    this.allocator = new Allocator(this.store);
  }

  context(transaction: Transaction, who = session): OperationContext {
    return {
      transaction,
      nowNanos: this.now,
      session: who,
      otherSessions: this.others.filter((other) => other !== who),
      allocator: this.allocator,
      space: () => this.space,
      checkpoint: () => {
        this.checkpoints++;
        this.#apply(transaction);
        this.onCheckpoint?.();
      },
      orphaned: this.orphaned,
      noteHalfDead: (block) => {
        this.halfDead.push(block);
      },
    };
  }

  /** Runs any function of a context as one operation. */
  run<T>(work: (context: OperationContext) => T, who = session): T {
    this.now += 1_000n;
    const transaction = new Transaction(this.store);
    const result = work(this.context(transaction, who));
    this.#apply(transaction);
    return result;
  }

  call<M extends NamespaceMethod>(method: M, request: Without<M>, who = session): Reply<M> {
    const implementation = namespaceMethods[method] as unknown as (c: OperationContext, r: unknown) => Reply<M>;
    const asSent = { op: { slot: 0, sequence: 1 }, ...request };
    if (!this.checksMessages) return this.run((context) => implementation(context, asSent), who);
    const spec = nameServerMethods[method] as {
      request: (value: unknown) => unknown;
      reply: (value: unknown) => unknown;
    };
    return spec.reply(this.run((context) => implementation(context, spec.request(asSent)), who)) as Reply<M>;
  }

  #apply(transaction: Transaction): void {
    const changes = transaction.changes();
    this.keysMax = Math.max(this.keysMax, changes.length);
    for (const [key, value] of changes) {
      if (key.length > 511) throw new Error("a key of more than 511 bytes");
      if (value !== null && value.length > 16_300) throw new Error(`a value of ${String(value.length)} bytes`);
    }
    this.store.apply(changes);
    transaction.clear();
  }

  // Short forms.
  create(parent: Ino, text: string, caller = root, mode = 0o644, umask = 0): Ino {
    return this.call("create", { caller, parent, name: n(text), mode, umask }).attributes.ino;
  }
  mkdir(parent: Ino, text: string, caller = root, mode = 0o755, umask = 0): Ino {
    return this.call("mkdir", { caller, parent, name: n(text), mode, umask }).attributes.ino;
  }
  symlink(parent: Ino, text: string, target: string, caller = root): Ino {
    const reply = this.call("symlink", { caller, parent, name: n(text), umask: 0, target: Buffer.from(target) });
    return reply.attributes.ino;
  }
  unlink(parent: Ino, text: string, caller = root, keep = false): Attributes | null {
    return this.call("unlink", { caller, parent, name: n(text), keep }).attributes;
  }
  rmdir(parent: Ino, text: string, caller = root, keep = false): Attributes | null {
    return this.call("rmdir", { caller, parent, name: n(text), keep }).attributes;
  }
  link(ino: Ino, newParent: Ino, text: string, caller = root): Attributes {
    return this.call("link", { caller, ino, newParent, newName: n(text) }).attributes;
  }
  rename(
    [parent, from]: readonly [Ino, string],
    [newParent, to]: readonly [Ino, string],
    options: { caller?: CallerIdentity; flags?: number; keep?: boolean } = {},
  ): Reply<"rename"> {
    const { caller = root, flags = 0, keep = false } = options;
    return this.call("rename", { caller, parent, name: n(from), newParent, newName: n(to), flags, keep });
  }
  stat(ino: Ino): Attributes {
    return this.call("getattr", { ino }).attributes;
  }
  lookup(parent: Ino, text: string): Attributes | null {
    return this.call("lookup", { parent, name: n(text) }).attributes;
  }
  setattr(ino: Ino, changes: Partial<Omit<Request<"setattr">, "op" | "ino" | "caller">>, caller = root): Attributes {
    return this.call("setattr", { caller, ino, ...changes }).attributes;
  }
  setxattr(
    ino: Ino,
    text: string,
    value: Buffer,
    options: { caller?: CallerIdentity; flags?: number; clearSetgid?: boolean } = {},
  ): Attributes {
    const { caller = root, flags = 0, clearSetgid = false } = options;
    return this.call("setxattr", { caller, ino, name: n(text), value, flags, clearSetgid }).attributes;
  }
  getxattr(ino: Ino, text: string, caller = root): Buffer {
    return this.call("getxattr", { caller, ino, name: n(text) }).value;
  }

  /** Block numbers for the session, as allocateBlocks hands them out. */
  allocate(count: number, who = session): BlockId[] {
    const first = this.#nextBlock;
    this.#nextBlock += count;
    this.store.apply([[keys.range(group, first), encodeRange(freshRange(who, count))]]);
    return Array.from({ length: count }, (_, i) => ({ group, number: first + i }));
  }

  write(
    ino: Ino,
    extents: Request<"writeExtents">["extents"],
    options: { append?: boolean; size?: number; clear?: boolean } = {},
  ): Reply<"writeExtents"> {
    const { append = false, size = 0, clear = false } = options;
    const epochs = [{ group, epoch: groupEpoch }];
    return this.call("writeExtents", { ino, extents, epochs, size, append, mtime: "now", clearPrivileges: clear });
  }
  writeInline(ino: Ino, offset: number, content: Buffer, append = false): Reply<"writeExtents"> {
    return this.write(ino, [{ kind: "inline", offset, length: content.length, content }], { append });
  }
  writeBlock(ino: Ino, offset: number, length: number): BlockId {
    const block = this.allocate(1)[0] as BlockId;
    this.write(ino, [{ kind: "block", offset, length, block, blockOffset: 0 }]);
    return block;
  }
  extents(ino: Ino, offset = 0, length = 2 ** 50): Reply<"readExtents">["extents"] {
    const all: Reply<"readExtents">["extents"] = [];
    for (let at: number | null = offset; at !== null;) {
      const reply: Reply<"readExtents"> = this.call("readExtents", { ino, offset: at, length });
      all.push(...reply.extents);
      at = reply.next;
    }
    return all;
  }
  names(ino: Ino): string[] {
    return this.call("readdir", { ino, cookie: 0, bytesMax: 2 ** 30, plus: false }).entries.map(({ name }) => name);
  }
}

/** The errno of what it throws, or "none". */
export function errnoOf(run: () => unknown): ErrnoName | "none" {
  try {
    run();
  } catch (error) {
    if (error instanceof FsError) return error.errno;
    throw error;
  }
  return "none";
}

export { rootIno };
