/**
 * A real run of a storage node's copy of the journal on the real disk, recorded; then the power is lost at every moment of
 * it. What was promised, stored and acknowledged is there, and nothing is there that was never sent.
 * DFS_LONG=1 replays each moment several times.
 */
import test, { type ExecutionContext } from "ava";
import { checksum } from "../../src/base/checksum.ts";
import { seededRandom } from "../../src/base/random.ts";
import { openSystemDisk } from "../../src/base/system-disk.ts";
import { origin, type Position } from "../../src/journal/position.ts";
import type { JournalRegister } from "../../src/protocol/journal-methods.ts";
import { begun, claim, record, TestKeeper } from "../storage-node/journal-support.ts";
import { Recorder } from "../support/recorder.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const replaysPerMoment = process.env["DFS_LONG"] === undefined ? 1 : 20;
/** Files are closed, and dropped when a base covers them. */
const fileBytes = 16 * 1024;
const snapshot = Buffer.from("a snapshot ".repeat(300));

/** What had been answered by a moment: at least that is there. */
interface Answered {
  readonly moment: number;
  readonly epoch: number;
  readonly generation: number;
  readonly base: number;
  /** Undefined: no copy was begun. */
  readonly end: number | undefined;
}

test("a copy of the journal: no moment of a run loses what was promised or acknowledged", async (t) => {
  const recorder = new Recorder(await openSystemDisk(await temporaryFolder(t)));
  const { answered, sent } = await workMuch(recorder);
  t.log(`${String(recorder.moment)} moments, ${String(answered.length)} answers`);
  t.true(recorder.count("remove") > 0 && recorder.count("rename") > 10, "files are dropped, and states replaced");
  for (let moment = 1; moment <= recorder.moment; moment++) {
    for (let i = 0; i < replaysPerMoment; i++) await checkMoment(t, recorder, { moment, i, answered, sent });
  }
});

async function workMuch(recorder: Recorder): Promise<{ answered: Answered[]; sent: Map<number, number> }> {
  const answered: Answered[] = [];
  /** The checksum of each record by its last batch. */
  const sent = new Map<number, number>();
  let now: Omit<Answered, "moment"> = { epoch: 0, generation: 0, base: 0, end: undefined };
  const answer = (news: Partial<typeof now>): void => {
    now = { ...now, ...news };
    answered.push({ ...now, moment: recorder.moment });
  };
  const node = await TestKeeper.open(recorder.disk, fileBytes);
  const { node: id } = await node.state();
  await node.raise();
  answer({ epoch: 1 });
  await node.call("putJournalBase", begun);
  answer({ end: 0 });
  let end: Position = origin;
  for (let i = 0; i < 24; i++) {
    const one = record(end, "x".repeat((i * 397) % 3_000), 1 + (i % 3));
    sent.set(one.end.index, one.end.crc);
    end = await node.append(end, one);
    answer({ end: end.index });
    if (i % 6 === 2) {
      const register: JournalRegister = { ...claim, generation: i, members: [id], nodes: [] };
      await node.call("storeRegister", { ...claim, register });
      answer({ generation: i });
    }
    if (i % 9 !== 8) continue;
    const base = { ...claim, base: end, bytes: snapshot.length, crc: checksum(snapshot), start: null };
    await node.call("putJournalBase", { ...base, offset: 0 }, snapshot.subarray(0, 1_000));
    await node.call("putJournalBase", { ...base, offset: 1_000 }, snapshot.subarray(1_000));
    answer({ base: end.index });
  }
  await node.raise(2);
  answer({ epoch: 2 });
  await node.keeper.close();
  return { answered, sent };
}

async function checkMoment(
  t: ExecutionContext,
  recorder: Recorder,
  run: { moment: number; i: number; answered: readonly Answered[]; sent: ReadonlyMap<number, number> },
): Promise<void> {
  const { moment, i, answered, sent } = run;
  const label = `moment ${String(moment)}.${String(i)}`;
  const sure = answered.findLast((answer) => answer.moment <= moment);
  const { disk } = await recorder.replay(moment, seededRandom(moment * 1_000 + i));
  const node = await TestKeeper.open(disk, fileBytes);
  const { epoch, register, copy } = await node.state();
  // The next name server asks.
  const later: Claim = { ...claim, epoch: epoch + 1 };
  if (sure !== undefined) await node.raise(later.epoch);
  if (epoch < (sure?.epoch ?? 0)) t.fail(`${label}: epoch ${String(epoch)} after ${String(sure?.epoch)} was promised`);
  if ((register?.generation ?? 0) < (sure?.generation ?? 0)) t.fail(`${label}: an older register`);
  if (sure?.end === undefined) return;
  if (copy === null || copy.end.index < sure.end || copy.base.index < sure.base) {
    t.fail(`${label}: ${JSON.stringify(copy)} after ${JSON.stringify(sure)}`);
    return;
  }
  if (copy.end.index > 0 && sent.get(copy.end.index) !== copy.end.crc)
    t.fail(`${label}: it ends with what was not sent`);
  if (copy.baseBytes > 0) {
    const read = await node.call("readJournalBase", { ...later, offset: 0, length: snapshot.length });
    t.deepEqual(read, snapshot, label);
  }
  const first = copy.base.index + 1;
  const wanted = Array.from({ length: copy.end.index - copy.base.index }, (_, at) => first + at);
  t.deepEqual(await node.indices(first, later), wanted, label);
  await node.keeper.close();
}

type Claim = typeof claim;
