/**
 * Random histories of one file against a plain Buffer: changes one after the other, with reads and flushes between and
 * beside them, every call to the fakes late by a random time, block writes, commits and block reads failing at random.
 */
import test from "ava";
import { FsError, type ErrnoName } from "../../src/base/errno.ts";
import { seededRandom, type Random } from "../../src/base/random.ts";
import { at, joined, startClient, untilSettled, type Client } from "./support.ts";
import { ino } from "./fake-cluster.ts";
import type { FileContent } from "../../src/cache/types.ts";

const fileBytesMax = 120_000;
const small = {
  blockBytesMax: 16_384,
  inlineBytesMax: 1_000,
  inlineBytesPerRequestMax: 4_096,
  extentsPerMessageMax: 24,
  extentsPerBlockMax: 6,
  clientDirtyBytesMax: 512 * 1024,
  clientCleanBytesMax: 160 * 1024,
  clientDirtyAgeMillis: 200,
};

interface Run extends Client {
  readonly random: Random;
  readonly file: FileContent;
  /** All contents that the file has had, the newest last; the newest may still be on its way. */
  readonly versions: Buffer[];
  readonly background: Promise<unknown>[];
  time: number;
}

class Mismatch extends Error {}

test("random histories read as a plain buffer would, and end at the server as such", async (t) => {
  for (let seed = 1; seed <= 24; seed++) {
    const error = await history(seed, { steps: 160, faults: seed % 3 !== 0 }).then(
      () => undefined,
      (caught: unknown) => caught,
    );
    t.is(error, undefined, `seed ${String(seed)}`);
  }
});

async function history(seed: number, options: { steps: number; faults: boolean }): Promise<void> {
  const random = seededRandom(seed);
  // Without faults there is so little memory that writers wait for each other's flushes.
  const clientDirtyBytesMax = options.faults ? small.clientDirtyBytesMax : 64 * 1024;
  const client = startClient({
    limits: { ...small, clientDirtyBytesMax },
    lease: random.below(4) > 0 ? "exclusive" : "none",
  });
  const { cluster, clock, contents, lost } = client;
  cluster.extentsPerReply = 1 + random.below(20);
  cluster.delay = () =>
    new Promise((resolve) => {
      clock.after(random.below(10), resolve);
    });
  if (options.faults) injectFaults(client, random);
  const run: Run = { ...client, random, file: client.open(), versions: [Buffer.alloc(0)], background: [], time: 0 };
  for (let step = 0; step < options.steps; step++) {
    await oneStep(run);
    if (lost.length > 0) throw new Mismatch(`lost data at step ${String(step)}: ${String(lost[0])}`);
    if (random.below(3) === 0) await clock.advance(random.below(40));
  }
  cluster.faults = {};
  await untilSettled(clock, Promise.all(run.background));
  await untilSettled(clock, run.file.flush());
  const expected = current(run);
  same(cluster.content(), expected, "the server's content");
  same(
    joined(await untilSettled(clock, Promise.resolve(run.file.read(0, fileBytesMax)))),
    expected,
    "the content read",
  );
  const other = startClient({ cluster, lease: "none" });
  cluster.delay = () => Promise.resolve();
  same(joined(await other.open().read(0, fileBytesMax)), expected, "another client's content");
  if (run.file.isDirty) throw new Mismatch("still dirty");
  contents.close(ino);
  if (contents.statistics.dirtyBytes !== 0)
    throw new Mismatch(`leaked ${String(contents.statistics.dirtyBytes)} bytes`);
  await untilSettled(clock, contents.shutdown());
}

function injectFaults({ cluster }: Client, random: Random): void {
  const sometimes = (errno: ErrnoName, oneOf: number): ErrnoName | undefined =>
    random.below(oneOf) === 0 ? errno : undefined;
  let readsFailed = 0;
  cluster.faults = {
    blockWrite: () => sometimes(random.below(2) === 0 ? "ENOSPC" : "EIO", 12),
    commit: ({ epochs }) => {
      if (epochs.length > 0 && random.below(12) === 0) cluster.epoch++;
      return sometimes("EIO", 20);
    },
    blockRead: () => {
      const fails = readsFailed < 2 && random.below(20) === 0;
      readsFailed = fails ? readsFailed + 1 : 0;
      return fails ? "ENOENT" : undefined;
    },
  };
}

async function oneStep(run: Run): Promise<void> {
  const { random, file, clock } = run;
  const choice = random.below(100);
  if (choice < 40) await write(run);
  else if (choice < 48) await append(run);
  else if (choice < 70) read(run);
  else if (choice < 80) run.background.push(file.flush().catch(expectInjected));
  else if (choice < 84) file.flushSoon();
  else if (choice < 90) await truncate(run);
  else if (choice < 93) await punch(run);
  else if (choice < 95) await changeLease(run);
  else if (choice < 98) await seek(run);
  else await clock.advance(random.below(400));
}

async function changeLease({ random, clock, giveBack, gain }: Run): Promise<void> {
  if (random.below(3) > 0) gain(random.below(2) === 0 ? "exclusive" : "shared");
  else await untilSettled(clock, giveBack(random.below(2) === 0 ? "none" : "shared"));
}

async function write(run: Run): Promise<void> {
  const { random, file } = run;
  const isLarge = random.below(6) === 0;
  const content = random.bytes(1 + random.below(isLarge ? 9_000 : 600));
  const reach = Math.min(fileBytesMax - content.length, current(run).length + 3_000);
  const offset = random.below(reach + 1);
  const next = Buffer.alloc(Math.max(current(run).length, offset + content.length));
  current(run).copy(next);
  content.copy(next, offset);
  await mutate(run, next, () => file.write(offset, content, at(++run.time)));
}

async function append(run: Run): Promise<void> {
  const { random, file } = run;
  const before = current(run);
  const content = random.bytes(1 + random.below(3_000));
  if (before.length + content.length > fileBytesMax) return;
  await mutate(run, Buffer.concat([before, content]), async () => {
    const offset = await file.append(content, at(++run.time));
    if (offset !== before.length) throw new Mismatch(`appended at ${String(offset)}, not ${String(before.length)}`);
  });
}

async function truncate(run: Run): Promise<void> {
  const { random, file, cluster } = run;
  const size = random.below(Math.min(fileBytesMax, current(run).length + 5_000));
  const next = Buffer.alloc(size);
  current(run).copy(next);
  await mutate(run, next, () =>
    file.change({ discardFrom: size }, async () => {
      await cluster.delay();
      cluster.truncate(size);
      file.serverSize(size);
    }),
  );
}

async function punch(run: Run): Promise<void> {
  const { random, file, cluster } = run;
  const start = random.below(current(run).length + 1);
  const end = Math.min(current(run).length, start + random.below(20_000));
  if (start >= end) return;
  const next = Buffer.from(current(run)).fill(0, start, end);
  await mutate(run, next, () =>
    file.change({}, async () => {
      await cluster.delay();
      cluster.punch(start, end);
    }),
  );
}

/** Runs a change whose outcome is `next`, or nothing if it fails with an injected error. */
async function mutate(run: Run, next: Buffer, change: () => unknown): Promise<void> {
  const before = current(run);
  run.versions.push(next);
  try {
    await untilSettled(run.clock, Promise.resolve(change()));
  } catch (error) {
    expectInjected(error);
    run.versions.push(before);
  }
}

function read(run: Run): void {
  const { random, file } = run;
  const offset = random.below(fileBytesMax);
  const length = 1 + random.below(random.below(4) === 0 ? 50_000 : 2_000);
  const first = run.versions.length - 1;
  const answer = file.read(offset, length);
  const check = (bytes: Buffer): void => {
    const possible = run.versions.slice(first).map((version) => version.subarray(offset, offset + length));
    const lengths = possible.map((version) => version.length);
    if (bytes.length < Math.min(...lengths) || bytes.length > Math.max(...lengths)) {
      throw new Mismatch(`read ${String(bytes.length)} bytes at ${String(offset)}, not ${lengths.join(" or ")}`);
    }
    for (let i = 0; i < bytes.length; i++) {
      // Beyond a version's end: what a growing file reads there meanwhile is zero.
      if (!possible.some((version) => (version[i] ?? 0) === bytes[i])) {
        throw new Mismatch(`byte ${String(offset + i)} was never ${String(bytes[i])}`);
      }
    }
  };
  if (answer instanceof Promise)
    run.background.push(
      answer.then((pieces) => {
        check(joined(pieces));
      }),
    );
  else check(joined(answer));
}

async function seek(run: Run): Promise<void> {
  const { random, file } = run;
  const content = current(run);
  const offset = random.below(content.length + 10);
  const whence = random.below(2) === 0 ? 3 : 4;
  const found = await untilSettled(run.clock, file.seek(offset, whence)).catch((error: unknown) => error);
  if (found instanceof FsError) {
    const isEmpty = content.subarray(offset).every((byte) => byte === 0);
    if (found.errno !== "ENXIO" || (whence === 4 ? offset < content.length : !isEmpty)) throw found;
    return;
  }
  if (typeof found !== "number") throw found;
  if (found < offset || found > content.length) throw new Mismatch(`seek ${String(whence)} gave ${String(found)}`);
  if (whence === 3 && !content.subarray(offset, found).every((byte) => byte === 0)) throw new Mismatch("skipped data");
  if (whence === 4 && found < content.length && content[found] !== 0) throw new Mismatch("a hole with data");
}

function current(run: Run): Buffer {
  const newest = run.versions.at(-1);
  if (newest === undefined) throw new Error("no version");
  return newest;
}

function expectInjected(error: unknown): void {
  if (!(error instanceof FsError) || (error.errno !== "ENOSPC" && error.errno !== "EIO")) throw error;
}

function same(actual: Buffer, expected: Buffer, what: string): void {
  if (actual.equals(expected)) return;
  const shared = Math.min(actual.length, expected.length);
  let at = 0;
  while (at < shared && actual[at] === expected[at]) at++;
  throw new Mismatch(
    `${what}: ${String(actual.length)} bytes, not ${String(expected.length)}, differs at ${String(at)}`,
  );
}
