/**
 * From what a folder holds to a store that may answer. LMDB is taken as it is if the journal continues from its position;
 * else it is rebuilt from the newest whole snapshot and the journal. What was acknowledged and is neither in LMDB nor in
 * the journal is a reason not to start.
 *
 * Order: replay what is durable; write the tail into a new file, which makes it durable; raise the epoch; replay the tail.
 * Nothing is ever appended to a file of an earlier incarnation.
 */
import type { Disk } from "../base/disk.ts";
import { FsError } from "../base/errno.ts";
import type { Log } from "../base/log.ts";
import { readEpoch, writeEpoch } from "./epoch-file.ts";
import { beginFile, dropWhatMoved } from "../journal/journal-begin.ts";
import type { ClosedFile, OpenJournalFile } from "../journal/journal-files.ts";
import { decodeChanges } from "../journal/journal-record.ts";
import { NotContinued, scanJournal, type ScannedJournal, type ScannedRecord } from "../journal/journal-scan.ts";
import type { Materialised } from "./materialised.ts";
import { OrderedMap } from "./ordered-map.ts";
import { origin, type Position } from "../journal/position.ts";
import { DamagedSnapshot, listSnapshots, readSnapshot } from "./snapshot.ts";

export interface RecoveryOptions {
  readonly disk: Disk;
  readonly log: Log;
  /** The materialised store as it was left; an empty one when it is unusable. */
  readonly openBase: () => Promise<Materialised>;
  /** Throws the present one away; an empty one takes its place. */
  readonly resetBase: (base: Materialised) => Promise<Materialised>;
  /** How much is replayed in memory before it is applied. */
  readonly replayBytes: number;
  /** Size of the file that the new incarnation begins with. */
  readonly firstFileBytes: number;
}

export interface Recovered {
  readonly base: Materialised;
  readonly epoch: number;
  readonly current: OpenJournalFile;
  readonly closed: readonly ClosedFile[];
  readonly end: Position;
}

export async function recover(options: RecoveryOptions): Promise<Recovered> {
  const { disk, log } = options;
  const stored = await readEpoch(disk);
  if (stored === "damaged") log.warn({}, "the epoch file is damaged: the epoch is taken from the journal");
  const snapshots = await listSnapshots(disk);
  const shown = Math.max(snapshots[0] ?? 0, typeof stored === "string" ? 0 : stored.index);
  const { base, scanned, replay } = await rebuild(options, snapshots, shown);
  if (scanned.files.length === 0 && (stored !== "missing" || base.position.index > 0)) {
    await base.close();
    throw new FsError("EIO", "the journal is missing: restore the name server's folder from a copy");
  }
  const epoch = Math.max(typeof stored === "string" ? 0 : stored.epoch, scanned.epoch, base.position.epoch) + 1;
  const { current, end } = await beginFile(disk, scanned, epoch, options.firstFileBytes);
  // Only now: where there is an epoch file there was a journal, so that a lost journal shows.
  await writeEpoch(disk, { epoch, index: end.index });
  for (const record of scanned.tail) await replay.add(record);
  await replay.finish(end);
  const closed = await dropWhatMoved(disk, scanned.files, current.header.first);
  log.info({ epoch, index: end.index, replayed: replay.records, tail: scanned.tail.length }, "metadata recovered");
  return { base, epoch, current, closed, end };
}

/** Brings a base to the newest position known durable, trying LMDB first, then the snapshots, then the empty store. */
async function rebuild(
  options: RecoveryOptions,
  snapshots: readonly number[],
  shown: number,
): Promise<{ base: Materialised; scanned: ScannedJournal; replay: Replay }> {
  const { disk, log } = options;
  let base = await options.openBase();
  const known = Math.max(shown, base.position.index);
  const reasons: string[] = [];
  const isBehind = base.position.index < (snapshots[0] ?? 0);
  for (const source of [...(isBehind ? [] : ["base" as const]), ...snapshots, "empty" as const]) {
    try {
      if (source !== "base") {
        base = await options.resetBase(base);
        if (source !== "empty") await load(disk, source, base);
        log.warn({ from: source, reasons }, "rebuilding the materialised store from snapshot and journal");
      }
      const replay = new Replay(base, options.replayBytes);
      const scanned = await scanJournal(disk, base.position, known, (record) => replay.add(record));
      await replay.finish(scanned.durable);
      return { base, scanned, replay };
    } catch (error) {
      if (!(error instanceof NotContinued || error instanceof DamagedSnapshot)) {
        await base.close();
        throw error;
      }
      reasons.push(error.message);
    }
  }
  await base.close();
  throw new FsError(
    "EIO",
    `no state from which the journal continues (${reasons.join("; ")}): restore the folder from a copy`,
  );
}

async function load(disk: Disk, snapshot: number, base: Materialised): Promise<void> {
  const position = await readSnapshot(disk, snapshot, (entries) => base.apply(entries, origin));
  await base.apply([], position);
}

/** Changes of replayed records, collected and applied in large steps. */
class Replay {
  records = 0;
  readonly #base: Materialised;
  readonly #bytesMax: number;
  #changes = new OrderedMap();

  constructor(base: Materialised, bytesMax: number) {
    this.#base = base;
    this.#bytesMax = bytesMax;
  }

  async add({ header, bytes }: ScannedRecord): Promise<void> {
    this.records++;
    for (const [key, value] of decodeChanges(header, bytes)) this.#changes.set(key, value);
    if (this.#changes.bytes < this.#bytesMax) return;
    await this.finish({ epoch: header.epoch, index: header.first + header.batches - 1, crc: header.crc });
  }

  async finish(position: Position): Promise<void> {
    if (this.#changes.size === 0 && position.index === this.#base.position.index) return;
    await this.#base.apply(this.#changes.entries(), position);
    this.#changes = new OrderedMap();
  }
}
