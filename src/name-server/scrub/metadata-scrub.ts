/**
 * The scrub of the metadata store: once a day every value is read, searched for and compared with its checksum, and each table
 * with its sum; at a set rate, a page at a time, while requests go on. What does not hold ends the process, and the
 * next start builds the store again from snapshot and journal.
 *
 * How far it is, by whole tables, is in the file `scrub.json`: a restart goes on there. That is a convenience: lost or damaged, a
 * pass begins again.
 */
import { z } from "zod";
import { sleep, type Clock } from "../../base/clock.ts";
import type { Disk } from "../../base/disk.ts";
import { FsError } from "../../base/errno.ts";
import { limits } from "../../base/limits.ts";
import type { Log } from "../../base/log.ts";
import { readCheckedJson, writeCheckedJson } from "../../journal/checked-json.ts";
import type { MetadataStore } from "../../metadata-store/types.ts";
import type { StatusReply } from "../../protocol/status.ts";
import type { Background } from "../background.ts";
import { nextTurn } from "../next-turn.ts";

export interface MetadataScrub {
  /** Begins a pass, or goes on with one, when it is time. */
  tick(): void;
  status(): Omit<StatusReply["metadata"], "damageReplaced">;
}

const path = "scrub.json";
const count = z.number().int().nonnegative();
const position = z.object({
  /** The pass goes on with this table (a key's first byte); 0: none is under way. */
  table: count,
  /** Verified in the tables before. */
  bytes: count,
  /** The last whole pass: milliseconds since 1970 when it ended, and what was verified. */
  passedMillis: count.nullable(),
  passedBytes: count,
});
type Position = z.infer<typeof position>;
const beginning: Position = { table: 0, bytes: 0, passedMillis: null, passedBytes: 0 };

export function createMetadataScrub(parts: {
  readonly store: Pick<MetadataStore, "verify">;
  /** Of the server; absent: nothing is remembered. */
  readonly disk: Disk | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly background: Background;
}): MetadataScrub {
  const { store, disk, clock, log, background } = parts;
  let nextAt = clock.monotonicMillis() + limits.metadataScrubAfterMillis;
  let isRunning = false;
  let now: Position | undefined;

  const wallMillis = (): number => Number(clock.wallNanos() / 1_000_000n);

  function tick(): void {
    if (isRunning) return;
    if (now === undefined) run("read how far the verification of the metadata is", load);
    else if (clock.monotonicMillis() >= nextAt) run("verify the metadata", pass);
  }

  function run(what: string, work: () => Promise<void>): void {
    isRunning = true;
    background.run(what, () =>
      work().finally(() => {
        isRunning = false;
      }),
    );
  }

  async function load(): Promise<void> {
    now = beginning;
    if (disk === undefined) return;
    try {
      now = position.parse((await readCheckedJson(disk, path)) ?? beginning);
    } catch (error) {
      log.warn({ err: error }, `${path} cannot be read: the verification of the metadata begins again`);
    }
    const { table, passedMillis } = now;
    // A clock that was set back must not put it off.
    const left = passedMillis === null ? 0 : passedMillis + limits.metadataScrubMillis - wallMillis();
    if (table === 0) nextAt = Math.max(nextAt, clock.monotonicMillis() + Math.min(left, limits.metadataScrubMillis));
  }

  async function pass(): Promise<void> {
    const startedAt = clock.monotonicMillis();
    const { table: from, bytes: before } = now ?? beginning;
    let bytes = before;
    const pause = async (read: number): Promise<void> => {
      bytes += read;
      if (background.isClosing) throw new FsError("ECANCELED", "the name server stops");
      const early =
        ((bytes - before) / limits.metadataScrubBytesPerSecond) * 1000 - (clock.monotonicMillis() - startedAt);
      await (early >= 1 ? sleep(clock, early) : nextTurn());
    };
    try {
      await store.verify({ from, pause, onTable: (table) => save({ ...(now ?? beginning), table, bytes }) });
      await save({ table: 0, bytes: 0, passedMillis: wallMillis(), passedBytes: bytes });
      log.info({ bytes }, "all metadata were read and verified");
    } catch (error) {
      if (!background.isClosing) throw error;
    } finally {
      nextAt = clock.monotonicMillis() + limits.metadataScrubMillis;
    }
  }

  async function save(next: Position): Promise<void> {
    now = next;
    if (disk === undefined) return;
    await writeCheckedJson(disk, path, next).catch((error: unknown) => {
      log.warn({ err: error }, "how far the verification of the metadata is could not be noted");
    });
  }

  return {
    tick,
    status: () => ({
      verifiedBytes: now?.passedBytes ?? 0,
      verifiedMillisAgo: typeof now?.passedMillis === "number" ? Math.max(0, wallMillis() - now.passedMillis) : null,
    }),
  };
}
