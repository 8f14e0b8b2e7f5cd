import test from "ava";
import { FsError } from "../../../src/base/errno.ts";
import type { Ino, SessionId } from "../../../src/base/ids.ts";
import { silentLog } from "../../../src/base/log.ts";
import { seededRandom } from "../../../src/base/random.ts";
import { openMemoryStore, type Store } from "../../../src/metadata-store/open.ts";
import { createExecution } from "../../../src/name-server/execution.ts";
import {
  Allocator,
  initialize,
  namespaceMethods,
  type OperationContext,
  type Transaction,
} from "../../../src/name-server/namespace/index.ts";
import { createConversions, type Conversions } from "../../../src/name-server/replicas/conversions.ts";
import { nameFromText } from "../../../src/base/name.ts";
import { FaultyDisk } from "../../support/faulty-disk.ts";
import { SimulatedClock } from "../../support/simulated-clock.ts";

const root = { uid: 0, gid: 0 };
const rootIno = 1 as Ino;
const session = "00000000000000a1" as SessionId;

interface World {
  readonly clock: SimulatedClock;
  readonly store: Store;
  /** What was asked to be rewritten, with how many copies. */
  readonly asked: [Ino, number][];
  /** What rewriting does. */
  convert: (content: Ino) => Promise<number>;
  start(): Conversions;
  run<T>(work: (context: OperationContext) => T): Promise<T>;
  /** A file with inline content: enough for it to be queued. */
  file(parent: Ino, text: string): Promise<Ino>;
  directory(parent: Ino, text: string): Promise<Ino>;
  set(ino: Ino, replicas: number): Promise<void>;
  replicasOf(ino: Ino): number | undefined;
}

async function world(): Promise<World> {
  const clock = new SimulatedClock();
  const store = await openMemoryStore({ disk: new FaultyDisk(seededRandom(3)), clock });
  const execution = createExecution(store);
  const allocator = new Allocator(store);
  const makeContext = (transaction: Transaction): OperationContext => ({
    transaction,
    nowNanos: clock.wallNanos(),
    session,
    otherSessions: [],
    allocator,
    space: () => ({ bytesTotal: 1, bytesFree: 1, filesFree: 1, metadataFull: false }),
    checkpoint: () => undefined,
    orphaned: [],
    noteHalfDead: () => undefined,
  });
  const run: World["run"] = (work) => execution.change((transaction) => work(makeContext(transaction)));
  await execution.change((transaction) => {
    initialize(transaction, clock.wallNanos());
  });
  const op = { slot: 0, sequence: 1 };
  const made: World = {
    clock,
    store,
    asked: [],
    convert: () => Promise.resolve(0),
    run,
    start: () =>
      createConversions({
        ...{ store, execution, clock, log: silentLog, replicas: 2, makeContext },
        convert: (content, { copies }) => {
          made.asked.push([content, copies]);
          return made.convert(content);
        },
      }),
    async file(parent, text) {
      const request = { op, caller: root, parent, name: nameFromText(text), mode: 0o644, umask: 0 };
      const { ino } = (await run((context) => namespaceMethods.create(context, request))).attributes;
      const content = Buffer.from("content");
      const extents = [{ kind: "inline" as const, offset: 0, length: content.length, content }];
      const written = { op, ino, extents, epochs: [], size: 7, append: false, clearPrivileges: false };
      await run((context) => namespaceMethods.writeExtents(context, written));
      return ino;
    },
    async directory(parent, text) {
      const request = { op, caller: root, parent, name: nameFromText(text), mode: 0o755, umask: 0 };
      return (await run((context) => namespaceMethods.mkdir(context, request))).attributes.ino;
    },
    async set(ino, replicas) {
      await run((context) => namespaceMethods.setReplicas(context, { op, caller: root, ino, replicas }));
    },
    replicasOf: (ino) =>
      namespaceMethods.getattr({ transaction: store } as unknown as OperationContext, { ino }).attributes.replicas,
  };
  return made;
}

async function finish({ clock }: World, conversions: Conversions): Promise<void> {
  for (let i = 0; i < 200 && conversions.queued > 0; i++) {
    conversions.tick();
    await clock.advance(100);
  }
}

test("a tree below a directory is converted, files and directories, and the queue is empty then", async (t) => {
  const it = await world();
  const top = await it.directory(rootIno, "top");
  const below = await it.directory(top, "below");
  const files = [await it.file(top, "a"), await it.file(below, "b"), await it.file(below, "c")];
  const other = await it.file(rootIno, "other");
  await it.set(top, 3);
  const conversions = it.start();
  t.true(conversions.queued > 0);
  await finish(it, conversions);
  t.is(conversions.queued, 0);
  t.deepEqual(
    [below, ...files].map((ino) => it.replicasOf(ino)),
    [3, 3, 3, 3],
  );
  t.is(it.replicasOf(other), undefined);
  t.deepEqual(
    it.asked.map(([ino]) => ino).sort((a, b) => a - b),
    [...files].sort((a, b) => a - b),
  );
  t.true(it.asked.every(([, copies]) => copies === 3));
  await conversions.close();
});

test("a file is rewritten until nothing is left to move", async (t) => {
  const it = await world();
  const file = await it.file(rootIno, "f");
  await it.set(file, 1);
  let left = 3;
  it.convert = () => Promise.resolve(left-- > 0 ? 4_096 : 0);
  const conversions = it.start();
  await finish(it, conversions);
  t.is(it.asked.length, 4);
  t.is(conversions.queued, 0);
  await conversions.close();
});

test("what cannot be converted now is tried again later and does not keep others waiting", async (t) => {
  const it = await world();
  const [stuck, other] = [await it.file(rootIno, "stuck"), await it.file(rootIno, "other")];
  await it.set(stuck, 3);
  await it.set(other, 3);
  let isStuck = true;
  it.convert = (content) =>
    content === stuck && isStuck ? Promise.reject(new FsError("EAGAIN", "no group")) : Promise.resolve(0);
  const conversions = it.start();
  conversions.tick();
  await it.clock.advance(1_000);
  t.is(conversions.queued, 1);
  t.deepEqual(
    it.asked.map(([ino]) => ino),
    [stuck, other],
  );
  conversions.tick();
  await it.clock.advance(1_000);
  t.is(it.asked.length, 2, "not at once");
  isStuck = false;
  await it.clock.advance(5_000);
  await finish(it, conversions);
  t.is(conversions.queued, 0);
  await conversions.close();
});

test("what is set anew while a file is rewritten is not forgotten", async (t) => {
  const it = await world();
  const file = await it.file(rootIno, "f");
  await it.set(file, 1);
  let first = true;
  it.convert = async () => {
    if (first) await it.set(file, 3);
    first = false;
    return 0;
  };
  const conversions = it.start();
  await finish(it, conversions);
  t.deepEqual(it.asked, [
    [file, 1],
    [file, 3],
  ]);
  await conversions.close();
});

test("the queue goes on after a restart, and what was removed meanwhile leaves it", async (t) => {
  const it = await world();
  const top = await it.directory(rootIno, "top");
  const [kept, gone] = [await it.file(top, "kept"), await it.file(top, "gone")];
  await it.set(top, 3);
  const first = it.start();
  it.convert = () => Promise.reject(new FsError("EAGAIN", "no group"));
  first.tick();
  await it.clock.advance(1_000);
  await first.close();
  t.is(first.queued, 2);
  await it.run((context) =>
    namespaceMethods.unlink(context, {
      ...{ op: { slot: 0, sequence: 1 }, caller: root, parent: top },
      ...{ name: nameFromText("gone"), keep: false },
    }),
  );
  it.asked.length = 0;
  it.convert = () => Promise.resolve(0);
  const second = it.start();
  await finish(it, second);
  t.is(second.queued, 0);
  t.deepEqual(it.asked, [[kept, 3]]);
  t.false(it.asked.some(([ino]) => ino === gone));
  await second.close();
});
