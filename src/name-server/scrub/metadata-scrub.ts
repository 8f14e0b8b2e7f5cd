/**
 * The scrub of the metadata store: once a day every value is read and compared with its checksum, and all of them with the
 * sums of their tables; at a set rate, a page at a time, while requests go on. What does not hold ends the process, and the
 * next start builds the store again from snapshot and journal.
 *
 * A pass takes a minute for each gigabyte, so one that a restart cuts off simply begins again.
 */
import { sleep, type Clock } from "../../base/clock.ts";
import { FsError } from "../../base/errno.ts";
import { limits } from "../../base/limits.ts";
import type { Log } from "../../base/log.ts";
import type { MetadataStore } from "../../metadata-store/types.ts";
import type { StatusReply } from "../../protocol/status.ts";
import type { Background } from "../background.ts";
import { nextTurn } from "../next-turn.ts";

export interface MetadataScrub {
  /** Begins a pass when it is time for one. */
  tick(): void;
  status(): Omit<StatusReply["metadata"], "damageReplaced">;
}

export function createMetadataScrub(parts: {
  readonly store: Pick<MetadataStore, "verify">;
  readonly clock: Clock;
  readonly log: Log;
  readonly background: Background;
}): MetadataScrub {
  const { store, clock, log, background } = parts;
  let nextAt = clock.monotonicMillis() + limits.metadataScrubAfterMillis;
  let isRunning = false;
  let verifiedBytes = 0;
  let verifiedAt: number | undefined;

  async function pass(): Promise<void> {
    const startedAt = clock.monotonicMillis();
    let bytes = 0;
    const pause = async (read: number): Promise<void> => {
      bytes += read;
      if (background.isClosing) throw new FsError("ECANCELED", "the name server stops");
      const early = (bytes / limits.metadataScrubBytesPerSecond) * 1000 - (clock.monotonicMillis() - startedAt);
      await (early >= 1 ? sleep(clock, early) : nextTurn());
    };
    try {
      await store.verify(pause);
      verifiedAt = clock.monotonicMillis();
      verifiedBytes = bytes;
      log.info({ bytes }, "all metadata were read and verified");
    } catch (error) {
      if (!background.isClosing) throw error;
    } finally {
      isRunning = false;
      nextAt = clock.monotonicMillis() + limits.metadataScrubMillis;
    }
  }

  return {
    tick() {
      if (isRunning || clock.monotonicMillis() < nextAt) return;
      isRunning = true;
      background.run("verify the metadata", pass);
    },
    status: () => ({
      verifiedBytes,
      verifiedMillisAgo: verifiedAt === undefined ? null : Math.round(clock.monotonicMillis() - verifiedAt),
    }),
  };
}
