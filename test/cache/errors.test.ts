/** What happens to data that cannot be written, and who is told. */
import test from "ava";
import { FsError } from "../../src/base/errno.ts";
import { toIno } from "../../src/base/ids.ts";
import { at, joined, KiB, MiB, patterned, readAll, startClient, untilSettled } from "./support.ts";

test("a flush without space rejects, keeps the data, and the next flush sends it", async (t) => {
  const { cluster, lost, open } = startClient();
  const file = open();
  await file.write(0, patterned(2 * MiB, 1), at(1));
  cluster.faults.blockWrite = () => "ENOSPC";
  await t.throwsAsync(file.flush(), { instanceOf: FsError, message: /ENOSPC/ });
  t.true(file.isDirty);
  t.true((await readAll(file)).equals(patterned(2 * MiB, 1)));
  await t.throwsAsync(file.flush(), { message: /ENOSPC/ });
  cluster.faults = {};
  await file.flush();
  t.true(cluster.content().equals(patterned(2 * MiB, 1)));
  t.is(lost.length, 0);
});

test("data whose background flush failed is sent again later, by itself", async (t) => {
  const { cluster, clock, open } = startClient();
  const file = open();
  cluster.faults.commit = () => "EIO";
  await file.write(0, patterned(100, 1), at(1));
  await clock.advance(6_000);
  t.true(cluster.count("writeExtents") >= 1);
  cluster.faults = {};
  await clock.advance(3_000);
  t.false(file.isDirty);
  await file.flush();
  t.true(cluster.content().equals(patterned(100, 1)));
});

test("data that can never be written is lost at once and reported once", async (t) => {
  const { cluster, clock, lost, open } = startClient();
  const file = open();
  cluster.faults.commit = () => "ENOENT";
  await file.write(0, patterned(100, 1), at(1));
  await clock.advance(6_000);
  t.is(lost.length, 1);
  t.false(file.isDirty);
  t.is(file.size, 0);
  cluster.faults = {};
  await t.throwsAsync(file.flush(), { message: /ENOENT/ });
  await file.flush();
});

test("data that fails for minutes is given up", async (t) => {
  const { cluster, clock, lost, open } = startClient();
  const file = open();
  cluster.faults.commit = () => "EIO";
  await file.write(0, patterned(100, 1), at(1));
  await clock.advance(600_000);
  t.is(lost.length, 1);
  t.false(file.isDirty);
  await t.throwsAsync(file.flush(), { message: /EIO/ });
  await file.flush();
});

test("a lost session loses everything unwritten, tells each owner, and the next flush says so once", async (t) => {
  const { cluster, contents, lost, open } = startClient();
  const file = open();
  const clean = open(toIno(8));
  await file.write(0, patterned(3 * MiB, 1), at(1));
  const releases: (() => void)[] = [];
  cluster.delay = () => new Promise((resolve) => releases.push(resolve));
  const flushed = file.flush();
  contents.sessionLost();
  releases.splice(0).forEach((release) => {
    release();
  });
  await t.throwsAsync(flushed, { message: /EIO/ });
  cluster.delay = () => Promise.resolve();
  t.is(lost.length, 1);
  t.false(file.isDirty);
  t.is(file.size, 0);
  t.is(cluster.count("writeExtents"), 0, "what was on its way is not committed");
  await clean.flush();
  await file.write(0, patterned(100, 2), at(2));
  await file.flush();
  t.true(cluster.content().equals(patterned(100, 2)));
  t.is(contents.statistics.dirtyBytes, 0);
});

test("a discarded file sends nothing and reports nothing", async (t) => {
  const { cluster, contents, lost, open } = startClient();
  const file = open();
  await file.write(0, patterned(100 * KiB, 1), at(1));
  file.discard();
  t.false(file.isDirty);
  await file.flush();
  contents.close(toIno(7));
  t.is(cluster.requests.length, 0);
  t.is(lost.length, 0);
  t.is(contents.statistics.dirtyBytes, 0);
});

test("near the end of the space each write waits for its own success, and a failed one was never made", async (t) => {
  const { cluster, lost, open } = startClient();
  const file = open();
  await file.write(0, patterned(64 * KiB, 1), at(1));
  await file.flush();
  cluster.bytesFree = 1000;
  cluster.faults.blockWrite = () => "ENOSPC";
  const write = file.write(0, patterned(512 * KiB, 2), at(2));
  t.true(write instanceof Promise);
  await t.throwsAsync(async () => write, { message: /ENOSPC/ });
  t.is(file.size, 64 * KiB);
  t.true((await readAll(file)).equals(patterned(64 * KiB, 1)));
  t.false(file.isDirty);
  cluster.faults = {};
  await file.write(0, patterned(512 * KiB, 2), at(3));
  t.true(cluster.content().equals(patterned(512 * KiB, 2)));
  await file.flush();
  t.is(lost.length, 0);
});

test("when the nodes are full a large file does not go on growing in the metadata", async (t) => {
  const { cluster, open } = startClient();
  const file = open();
  await file.write(0, patterned(64 * KiB, 1), at(1));
  await file.flush();
  cluster.bytesFree = 0;
  cluster.faults.blockWrite = () => "ENOSPC";
  await t.throwsAsync(async () => file.write(64 * KiB, patterned(4 * KiB, 2), at(2)), { message: /ENOSPC/ });
  await t.throwsAsync(async () => file.append(patterned(4 * KiB, 2), at(2)), { message: /ENOSPC/ });
  t.is(file.size, 64 * KiB);
  cluster.bytesFree = 1 * MiB;
  cluster.faults = {};
  await file.write(64 * KiB, patterned(4 * KiB, 2), at(3));
  await file.flush();
  t.is(cluster.content().length, 68 * KiB);
});

test("a change that cannot flush does not run, and keeps what it would have dropped", async (t) => {
  const { cluster, open } = startClient();
  const file = open();
  await file.write(0, patterned(10 * KiB, 1), at(1));
  await file.write(1 * MiB, patterned(10 * KiB, 2), at(1));
  cluster.faults.commit = () => "ENOSPC";
  let ran = false;
  const run = (): Promise<void> => {
    ran = true;
    return Promise.resolve();
  };
  await t.throwsAsync(file.change({ discardFrom: 64 * KiB }, run), { message: /ENOSPC/ });
  t.false(ran);
  t.is(file.size, 1 * MiB + 10 * KiB);
  t.true((await readAll(file, 1 * MiB, 10 * KiB)).equals(patterned(10 * KiB, 2)));
});

test("a truncation to nothing needs no flush", async (t) => {
  const { cluster, open } = startClient();
  const file = open();
  await file.write(0, patterned(10 * KiB, 1), at(1));
  await file.change({ discardFrom: 0 }, () => {
    t.is(file.size, 0);
    file.serverSize(0);
    return Promise.resolve();
  });
  t.false(file.isDirty);
  t.is(file.size, 0);
  t.is(cluster.requests.length, 0);
});

test("writes are held back while a change runs, and see its size", async (t) => {
  const { cluster, open } = startClient();
  const file = open();
  await file.write(0, patterned(10 * KiB, 1), at(1));
  let appended: number | Promise<number> = -1;
  await file.change({ discardFrom: 5 }, async () => {
    appended = file.append(Buffer.from("xyz"), at(2));
    await Promise.resolve();
    cluster.truncate(5);
    file.serverSize(5);
  });
  t.is(await Promise.resolve(appended), 5);
  await file.flush();
  t.true(cluster.content().equals(Buffer.concat([patterned(10 * KiB, 1).subarray(0, 5), Buffer.from("xyz")])));
});

test("a block that is nowhere makes the reader ask for the layout again, and then fail with EIO", async (t) => {
  const { cluster, open, contents } = startClient();
  let file = open();
  await file.write(0, patterned(1 * MiB, 1), at(1));
  await file.flush();
  contents.close(toIno(7));
  file = open();
  let failures = 1;
  cluster.faults.blockRead = () => (failures-- > 0 ? "ENOENT" : undefined);
  t.true((await readAll(file, 300 * KiB, 4 * KiB)).equals(patterned(1 * MiB, 1).subarray(300 * KiB, 304 * KiB)));
  t.is(cluster.count("readExtents"), 2);
  cluster.faults.blockRead = () => "ENOENT";
  await t.throwsAsync(readAll(file, 600 * KiB, 4 * KiB), { message: /EIO/ });
  t.true(cluster.count("readExtents") < 10);
});

test("an interrupted read or flush ends its wait, and nothing is lost or leaked", async (t) => {
  const { cluster, clock, contents, open } = startClient();
  const file = open();
  cluster.delay = () =>
    new Promise((resolve) => {
      clock.after(1_000, resolve);
    });
  await file.write(0, patterned(2 * MiB, 1), at(1));
  const interrupted = new FsError("EINTR", "killed");
  const aborting = new AbortController();
  const flushed = file.flush(aborting.signal);
  aborting.abort(interrupted);
  await t.throwsAsync(flushed, { message: /EINTR/ });
  await untilSettled(clock, file.flush());
  const reading = new AbortController();
  const read = Promise.resolve(file.read(0, 4 * KiB, reading.signal));
  reading.abort(interrupted);
  await t.throwsAsync(read, { message: /EINTR/ });
  t.true(
    joined(await untilSettled(clock, Promise.resolve(file.read(0, 4 * KiB)))).equals(
      patterned(2 * MiB, 1).subarray(0, 4 * KiB),
    ),
  );
  t.is(contents.statistics.dirtyBytes, 0);
});
