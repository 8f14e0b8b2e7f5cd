/** The two ways to a metadata store: on LMDB, and in memory over the same journal (tests, simulation). */
import type { Clock } from "../base/clock.ts";
import type { Disk } from "../base/disk.ts";
import { limits } from "../base/limits.ts";
import { silentLog, type Log } from "../base/log.ts";
import { Journal } from "./journal.ts";
import { LmdbBase, removeLmdb } from "./lmdb-base.ts";
import type { Materialised } from "./materialised.ts";
import { MemoryBase } from "./memory-base.ts";
import { recover, type RecoveryOptions } from "./recovery.ts";
import { Store } from "./store.ts";

export type { Store } from "./store.ts";

export interface StoreOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly log?: Log;
  /** Changes that the materialised store does not have yet; beyond it `room()` waits. */
  readonly overlayBytesMax?: number;
  readonly journalFileBytes?: number;
  /** Journal beyond which a snapshot is taken, after which the journal is trimmed. */
  readonly snapshotJournalBytes?: number;
  /** How long a change may stay in the overlay only. */
  readonly applyAfterMillis?: number;
  /** Address space of LMDB: what it may grow to. */
  readonly lmdbMapBytes?: number;
  /** Runs `fn` at the end of the present turn of the event loop: what was applied till then shares a record. */
  readonly afterTurn?: (fn: () => void) => void;
}

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;
const recordBytesMax = 4 * MiB;

/** Rejects with EIO and a sentence for the operator when something that was acknowledged is damaged or missing. */
export async function openMetadataStore(options: StoreOptions): Promise<Store> {
  const { disk, log = silentLog } = options;
  // Damage found before there is a store to fail makes the opening itself reject.
  const opened: { store?: Store } = {};
  const open = (): Promise<LmdbBase> =>
    LmdbBase.open({
      ...{ disk, log, mapBytes: options.lmdbMapBytes ?? 256 * GiB },
      onDamage: (error) => opened.store?.fail(error),
    });
  const reset = async (base?: Materialised): Promise<Materialised> => {
    await base?.close();
    await removeLmdb(disk.root);
    return open();
  };
  const openOrReset = async (): Promise<Materialised> => {
    try {
      return await open();
    } catch (error) {
      log.warn({ error }, "LMDB is unusable and is built anew");
      return reset();
    }
  };
  opened.store = await openOn(options, 64 * MiB, { openBase: openOrReset, resetBase: reset });
  return opened.store;
}

/** State in memory, journal and snapshots on `disk`: what survives a crash is the same as with LMDB. */
export function openMemoryStore(options: StoreOptions): Promise<Store> {
  const fresh = (): Promise<Materialised> => Promise.resolve(new MemoryBase());
  return openOn(options, 256 * KiB, { openBase: fresh, resetBase: fresh });
}

async function openOn(
  options: StoreOptions,
  fileBytesDefault: number,
  bases: Pick<RecoveryOptions, "openBase" | "resetBase">,
): Promise<Store> {
  const { disk, clock, log = silentLog } = options;
  const overlayBytesMax = options.overlayBytesMax ?? limits.overlayBytesMax;
  const fileBytes = options.journalFileBytes ?? fileBytesDefault;
  const { base, epoch, current, closed, end } = await recover({
    disk,
    log,
    ...bases,
    replayBytes: overlayBytesMax / 4,
    firstFileBytes: Math.min(fileBytes, 4 * MiB),
  });
  const afterTurn = options.afterTurn ?? ((fn) => void setImmediate(fn));
  const journal = new Journal({ disk, log, epoch, fileBytes, recordBytesMax, afterTurn }, current, closed, end);
  return new Store({
    disk,
    clock,
    log,
    journal,
    base,
    epoch,
    overlayBytesMax,
    applyAfterMillis: options.applyAfterMillis ?? 2_000,
    snapshotJournalBytes: options.snapshotJournalBytes ?? GiB,
  });
}
