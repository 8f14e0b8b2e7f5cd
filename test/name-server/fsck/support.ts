/** A store that is checked and repaired without a name server around it: a namespace made in memory, put into a real store. */
import type { ExecutionContext } from "ava";
import { seededRandom } from "../../../src/base/random.ts";
import { silentLog } from "../../../src/base/log.ts";
import type { BlockId, Ino, SessionId } from "../../../src/base/ids.ts";
import type { Name } from "../../../src/base/name.ts";
import { keys } from "../../../src/metadata-store/keys.ts";
import { decodeGroup, encodeGroup, encodeSession } from "../../../src/metadata-store/records.ts";
import { openMemoryStore, type Store } from "../../../src/metadata-store/open.ts";
import type { Change } from "../../../src/metadata-store/types.ts";
import { startFsck, type FsckParts, type FsckRequest } from "../../../src/name-server/fsck/fsck.ts";
import type { LeaseService } from "../../../src/name-server/lease-service.ts";
import { Allocator, type Transaction } from "../../../src/name-server/namespace/index.ts";
import type { Found, FsckSummary } from "../../../src/protocol/check-methods.ts";
import { FaultyDisk } from "../../support/faulty-disk.ts";
import { SimulatedClock } from "../../support/simulated-clock.ts";
import { violations } from "../namespace/invariants.ts";
import { group, type MemoryReader, Namespace, rootIno, session } from "../namespace/support.ts";

export interface Checked {
  readonly found: readonly Found[];
  readonly summary: FsckSummary;
}

/** Inodes of the tree that every test begins with. */
export interface Tree {
  readonly folder: Ino;
  readonly deep: Ino;
  readonly empty: Ino;
  readonly small: Ino;
  readonly large: Ino;
  readonly linked: Ino;
  readonly symlink: Ino;
  readonly unnamed: Ino;
  readonly blocks: readonly BlockId[];
}

export class CheckedStore {
  readonly namespace: Namespace;
  readonly tree: Tree;
  store!: Store;
  readonly clock = new SimulatedClock();
  /** Of the repairs, the inodes of which leases were taken. */
  readonly taken: Ino[][] = [];
  #allocator!: Allocator;

  private constructor() {
    this.namespace = new Namespace();
    this.tree = plant(this.namespace);
  }

  static async open(t: ExecutionContext): Promise<CheckedStore> {
    const made = new CheckedStore();
    made.store = await openMemoryStore({ disk: new FaultyDisk(seededRandom(1)), clock: made.clock });
    made.store.apply([...made.namespace.store.range({ gte: "\0", lt: "\u00ff" })]);
    made.#allocator = new Allocator(made.store);
    t.teardown(() => made.store.close());
    return made;
  }

  damage(...changes: Change[]): void {
    this.store.apply(changes);
  }

  async check(request: Partial<FsckRequest> = {}, more: Partial<FsckParts> = {}): Promise<Checked> {
    const run = startFsck({ ...this.#parts(), ...more }, { repair: false, data: false, path: [], ...request });
    const found: Found[] = [];
    for (;;) {
      const said = await run.outlet.next();
      found.push(...said.found);
      if (said.end === null) continue;
      run.outlet.close();
      return { found, summary: said.end };
    }
  }

  /** Finds what `text` matches, repairs it so that a further check is clean, and the store is as it must be. */
  async findAndRepair(t: ExecutionContext, text: RegExp, path?: RegExp): Promise<void> {
    const before = await this.check();
    const hit = before.found.find(
      (one) => text.test(one.text) && (path === undefined || one.paths.some((p) => path.test(p))),
    );
    t.truthy(hit, `not found: ${String(text)} among ${JSON.stringify(before.found)}`);
    t.true(before.summary.errors > 0);
    const repaired = await this.check({ repair: true });
    t.is(repaired.summary.errors, 0, JSON.stringify(repaired.found));
    t.true(repaired.summary.repaired > 0);
    const after = await this.check();
    t.deepEqual(after.found, []);
    t.deepEqual(violations(this.store), []);
  }

  #parts(): FsckParts {
    const { store, clock, namespace } = this;
    return {
      ...{ store, clock, log: silentLog, stretch: 3 },
      copies: noNodes,
      hasDeparted: (id) => id !== session,
      leases: {
        turn: ({ wants }: Parameters<LeaseService["turn"]>[0]) => {
          this.taken.push(wants().map(({ ino }) => ino));
          return { ready: () => undefined, leave: () => undefined };
        },
      } as unknown as LeaseService,
      makeContext: (transaction: Transaction) => ({
        ...namespace.context(transaction),
        allocator: this.#allocator,
        checkpoint: () => {
          store.apply(transaction.changes());
          transaction.clear();
        },
      }),
    };
  }
}

function plant(namespace: Namespace): Tree {
  const { store } = namespace;
  store.apply([[keys.session(session), encodeSession({ opened: 1n, clientName: "test" })]]);
  handOut(store, 1_000);
  const folder = namespace.mkdir(rootIno, "folder");
  const deep = namespace.mkdir(folder, "deep");
  const empty = namespace.mkdir(rootIno, "empty");
  const small = namespace.create(folder, "small");
  namespace.writeInline(small, 0, Buffer.from("inline content"));
  namespace.setxattr(small, "user.colour", Buffer.from("blue"));
  const large = namespace.create(deep, "large");
  const blocks = [namespace.writeBlock(large, 0, 5_000), namespace.writeBlock(large, 10_000, 7_000)];
  const linked = namespace.create(folder, "one");
  namespace.link(linked, deep, "two");
  const symlink = namespace.symlink(folder, "symlink", "somewhere");
  const unnamed = namespace.create(folder, "unnamed");
  namespace.writeInline(unnamed, 0, Buffer.from("nobody sees this"));
  namespace.unlink(folder, "unnamed", undefined, true);
  return { folder, deep, empty, small, large, linked, symlink, unnamed, blocks };
}

/** A cluster without storage nodes: there is nothing to be looked at there. */
export const noNodes = { maps: { groups: [] } } as unknown as FsckParts["copies"];

/** As if the group had handed out all numbers below this one. */
export function handOut(store: MemoryReader, nextNumber: number): void {
  const record = decodeGroup(store.get(keys.group(group)) as Buffer);
  store.apply([[keys.group(group), encodeGroup({ ...record, nextNumber })]]);
}

export const n = (text: string): Name => text as Name;
export { rootIno, session };
export const otherSession = "00000000000000b2" as SessionId;
