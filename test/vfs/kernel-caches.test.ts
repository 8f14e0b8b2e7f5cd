/** What the kernel is told to forget, in which order, and what is waited for. */
import test, { type ExecutionContext } from "ava";
import { FsError } from "../../src/base/errno.ts";
import { toIno, type Ino } from "../../src/base/ids.ts";
import { limits } from "../../src/base/limits.ts";
import { newInode, type Inode } from "../../src/vfs/inode.ts";
import { createKernelCaches, type ForgottenName, type KernelCaches } from "../../src/vfs/kernel-caches.ts";
import { SimulatedClock } from "../support/simulated-clock.ts";
import { name, RecordingNotifier, turns } from "./mount.ts";

const [folderIno, fileIno] = [toIno(7), toIno(8)];
/** A name that nobody has: its INVAL_ENTRY only waits for the directory's lock. */
const barrier = "entry 7 \u0001";
const pageBytes = 4096;

interface World {
  readonly kernel: RecordingNotifier;
  readonly clock: SimulatedClock;
  readonly caches: KernelCaches;
  readonly folder: Inode;
  readonly file: Inode;
  /** What was sent since this was asked last, the barrier under that name. */
  readonly sent: () => string[];
}

/** A folder, and a file that the kernel learned of by it. */
function world(): World {
  const kernel = new RecordingNotifier();
  const clock = new SimulatedClock();
  const folder = newInode(folderIno, true);
  const file = newInode(fileIno, false);
  file.lookups = 1;
  file.seenIn = folderIno;
  const inodes = new Map<Ino, Inode>([folder, file].map((inode) => [inode.ino, inode]));
  const caches = createKernelCaches({ notifier: kernel, clock, inodeOf: (ino) => inodes.get(ino) });
  const sent = (): string[] => kernel.sent.splice(0).map((line) => (line.startsWith(barrier) ? "barrier" : line));
  return { kernel, clock, caches, folder, file, sent };
}

interface Gate {
  readonly open: () => void;
  readonly fail: (error: Error) => void;
}

/** The kernel answers what begins like this when it is let. */
function gate(kernel: RecordingNotifier, start: string): Gate {
  let settle: Gate | undefined;
  const opened = new Promise<void>((resolve, reject) => {
    settle = { open: resolve, fail: reject };
  });
  const before = kernel.gate;
  kernel.gate = (line) => (line.startsWith(start) ? opened : before(line));
  if (settle === undefined) throw new Error("no gate");
  return settle;
}

interface Watched {
  readonly isDone: boolean;
}

async function watched(promise: Promise<void>): Promise<Watched> {
  const state = { isDone: false };
  void promise.then(() => (state.isDone = true));
  await turns();
  return state;
}

const aFile = (text: string): ForgottenName => ({ name: name(text), mayBeDirectory: false });
const aDirectory = (text: string): ForgottenName => ({ name: name(text), mayBeDirectory: true });

test("names go first, and the listing when the kernel has let them go", async (t) => {
  const { caches, kernel, folder, sent } = world();
  const entry = gate(kernel, "entry 7 b");
  const forgotten = await watched(caches.forgetNames(folder, [aFile("a"), aFile("b")]));
  t.deepEqual(sent(), ["entry 7 a", "entry 7 b"]);
  t.false(forgotten.isDone);
  entry.open();
  await turns();
  t.deepEqual(sent(), ["attributes 7"]);
  t.true(forgotten.isDone);
});

test("a listing that the kernel may have in pages is dropped with them", async (t) => {
  const { caches, folder, sent } = world();
  folder.pagesSince = 3;
  await caches.forgetNames(folder, [aFile("a")]);
  t.deepEqual(sent(), ["entry 7 a", "data 7 0 0"]);
});

test("a listing that is just being taken in is dropped behind the directory's lock, however long that takes", async (t) => {
  const { caches, kernel, clock, folder, sent } = world();
  folder.changesUnanswered = 1;
  folder.pagesSince = 3;
  const entry = gate(kernel, "entry");
  const forgotten = await watched(caches.forgetListing(folder));
  await clock.advance(60_000);
  t.deepEqual(sent(), ["barrier"]);
  entry.open();
  await turns();
  t.deepEqual(sent(), ["data 7 0 0"]);
  t.true(forgotten.isDone);
});

test("attributes of an inode that the kernel has: one notification, and no barrier", async (t) => {
  const { caches, file, sent } = world();
  await caches.forgetAttributes(file);
  t.deepEqual(sent(), ["attributes 8"]);
});

test("attributes of one that it has not yet: again behind the lock of the directory by which it learns of it", async (t) => {
  const { caches, kernel, file, sent } = world();
  kernel.knows = () => false;
  const entry = gate(kernel, "entry");
  const forgotten = await watched(caches.forgetAttributes(file));
  t.deepEqual(sent(), ["attributes 8", "barrier"]);
  t.false(forgotten.isDone);
  entry.open();
  await turns();
  t.deepEqual(sent(), ["attributes 8"]);
  t.true(forgotten.isDone);
});

test("an inode of which no reply told the kernel is not asked for twice; without its directory there is no lock", async (t) => {
  const { caches, kernel, file, sent } = world();
  kernel.knows = () => false;
  file.lookups = 0;
  await caches.forgetAttributes(file);
  t.deepEqual(sent(), ["attributes 8"]);
  file.lookups = 1;
  file.seenIn = toIno(99);
  await caches.forgetAttributes(file);
  t.deepEqual(sent(), ["attributes 8", "attributes 8"]);
});

test("while a change of the directory is unanswered INC_EPOCH takes the place of its names and of the barrier", async (t) => {
  const { caches, kernel, folder, file, sent } = world();
  folder.changesUnanswered = 1;
  await caches.forgetNames(folder, [aFile("a"), aFile("b")]);
  t.deepEqual(sent(), ["all entries", "attributes 7"]);
  kernel.knows = () => false;
  await caches.forgetAttributes(file);
  t.deepEqual(sent(), ["attributes 8", "all entries", "attributes 8"]);
});

test("so it does when the lock is not had within 5 ms, and what the kernel says later is not missed", async (t) => {
  for (const late of ["open", "fail"] as const) {
    const { caches, kernel, clock, folder, sent } = world();
    const entry = gate(kernel, "entry");
    const forgotten = await watched(caches.forgetNames(folder, [aFile("a")]));
    await clock.advance(4);
    t.deepEqual(sent(), ["entry 7 a"]);
    t.false(forgotten.isDone);
    await clock.advance(1);
    t.deepEqual(sent(), ["all entries", "attributes 7"]);
    t.true(forgotten.isDone);
    entry[late](new FsError("EIO", "late"));
    await turns();
    t.deepEqual(sent(), []);
  }
});

test("when the lock is had in time nothing more comes of the time", async (t) => {
  const { caches, kernel, clock, folder, sent } = world();
  const entry = gate(kernel, "entry");
  const forgotten = await watched(caches.forgetNames(folder, [aFile("a")]));
  await clock.advance(4);
  entry.open();
  await turns();
  t.true(forgotten.isDone);
  t.is(clock.timers, 0);
  t.deepEqual(sent(), ["entry 7 a", "attributes 7"]);
});

test("names that are or may be directories go by INC_EPOCH, never by an entry of theirs", async (t) => {
  const { caches, folder, sent } = world();
  await caches.forgetNames(folder, [aFile("a"), aDirectory("d"), aFile("b"), aDirectory("e")]);
  t.deepEqual(sent(), ["all entries", "entry 7 a", "entry 7 b", "attributes 7"]);
  await caches.forgetNames(folder, [aDirectory("d")]);
  t.deepEqual(sent(), ["all entries", "barrier", "attributes 7"]);
});

test("a whole directory: all names, a barrier behind answers that are being digested, its listing", async (t) => {
  const { caches, kernel, folder, sent } = world();
  const [all, entry] = [gate(kernel, "all"), gate(kernel, "entry")];
  const forgotten = await watched(caches.forgetDirectory(folder));
  t.deepEqual(sent(), ["all entries"]);
  all.open();
  await turns();
  t.deepEqual(sent(), ["barrier"]);
  entry.open();
  await turns();
  t.deepEqual(sent(), ["attributes 7"]);
  t.true(forgotten.isDone);
});

const waitsForNames = test.macro({
  exec: async (t: ExecutionContext, forget: (world: World) => Promise<void>) => {
    const here = world();
    here.kernel.canInvalidateAllEntries = false;
    const forgotten = await watched(forget(here));
    await here.clock.advance(limits.kernelNameValidityMillis - 1);
    t.deepEqual(here.sent(), []);
    t.false(forgotten.isDone);
    await here.clock.advance(1);
    t.is(here.sent().at(-1), "attributes 7");
    t.true(forgotten.isDone);
  },
  title: (what) => `a kernel without INC_EPOCH: names have to run out ${what ?? ""}`,
});

test("of a whole directory", waitsForNames, ({ caches, folder }) => caches.forgetDirectory(folder));
test("that may be directories", waitsForNames, ({ caches, folder }) => caches.forgetNames(folder, [aDirectory("d")]));
test("while a change is unanswered", waitsForNames, ({ caches, folder }) => {
  folder.changesUnanswered = 1;
  return caches.forgetNames(folder, [aFile("a")]);
});

test("data goes behind the attributes, the range as it was named", async (t) => {
  const { caches, kernel, file, sent } = world();
  file.pagesSince = 3;
  const attributes = gate(kernel, "attributes");
  const forgotten = await watched(caches.forgetData(file, 100, 5_000));
  t.deepEqual(sent(), ["attributes 8"]);
  attributes.open();
  await turns();
  t.deepEqual(sent(), ["data 8 100 5000"]);
  t.true(forgotten.isDone);
});

test("nothing is dropped of an inode of which the kernel has no pages, but of one that is open without", async (t) => {
  const { caches, file, sent } = world();
  await caches.forgetData(file, 0, 0);
  t.deepEqual(sent(), ["attributes 8"]);
  file.opens = 1;
  await caches.forgetData(file, 0, 0);
  t.deepEqual(sent(), ["attributes 8", "data 8 0 0"]);
});

/** The third page is being written: the notification of it waits for whoever answers the WRITE. */
function worldWithWrite(): World {
  const here = world();
  here.file.pagesSince = 3;
  here.file.writesUnanswered = new Set([{ offset: 2 * pageBytes, length: 100 }]);
  return here;
}
const [before, locked, behind] = ["data 8 0 8192", "data 8 8192 4096", "data 8 12288 0"];

test("pages of unanswered WRITEs are dropped apart, and count as dropped after 20 ms", async (t) => {
  const { caches, kernel, clock, file, sent } = worldWithWrite();
  const page = gate(kernel, locked);
  const forgotten = await watched(caches.forgetData(file, 0, 0));
  t.deepEqual(sent().toSorted(), ["attributes 8", before, behind, locked].toSorted());
  await clock.advance(19);
  t.false(forgotten.isDone);
  await clock.advance(1);
  t.true(forgotten.isDone);
  page.fail(new FsError("EIO", "late"));
  await turns();
  t.deepEqual(sent(), []);
});

test("pages that nobody has locked are waited for without end", async (t) => {
  const { caches, kernel, clock, file } = worldWithWrite();
  const free = gate(kernel, behind);
  const forgotten = await watched(caches.forgetData(file, 0, 0));
  await clock.advance(60_000);
  t.false(forgotten.isDone);
  free.open();
  await turns();
  t.true(forgotten.isDone);
});

test("what the kernel refuses is told to whoever asked", async (t) => {
  const refused = async (start: string, forget: (world: World) => Promise<void>): Promise<void> => {
    const here = worldWithWrite();
    here.kernel.gate = (line) => (line.startsWith(start) ? Promise.reject(new FsError("EAGAIN", start)) : undefined);
    await t.throwsAsync(forget(here), { message: /EAGAIN/ }, start);
  };
  await refused("entry", ({ caches, folder }) => caches.forgetNames(folder, [aFile("a")]));
  await refused("all", ({ caches, folder }) => caches.forgetDirectory(folder));
  await refused("attributes", ({ caches, file }) => caches.forgetAttributes(file));
  await refused(before, ({ caches, file }) => caches.forgetData(file, 0, 0));
  await refused(locked, ({ caches, file }) => caches.forgetData(file, 0, 0));
});

test("when it refuses locked pages and others together, that is one error", async (t) => {
  const { caches, kernel, file } = worldWithWrite();
  kernel.gate = (line) => (line.startsWith("data") ? Promise.reject(new FsError("EAGAIN", line)) : undefined);
  await t.throwsAsync(caches.forgetData(file, 0, 0), { message: /EAGAIN/ });
  // An error that nobody hears ends the process, and this test with it.
  await new Promise((resolve) => setImmediate(resolve));
  t.pass();
});
