/**
 * What copies are made of: the newest snapshot and the files of the journal, verified as they are read. What is damaged is
 * replaced: the materialised state has all that was ever in them, so that with a new snapshot of it nobody needs them any
 * more, this server's own next start included.
 */
import type { Clock } from "../base/clock.ts";
import type { Disk } from "../base/disk.ts";
import { errnoOf, FsError } from "../base/errno.ts";
import type { Log } from "../base/log.ts";
import { openNewestSnapshot, type OpenSnapshot } from "./snapshot-source.ts";
import type { DamageFound } from "./types.ts";

/** A disk that spoils whatever is written to it is not written full of snapshots. */
const pauseMillis = 60_000;

export interface SourceFilesParts {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly log: Log;
  /** Records of the journal, as `JournalSource.readRecords`; EIO: damaged. */
  readonly read: (first: number, bytesMax: number) => Promise<Buffer[] | undefined>;
  /** Takes a snapshot of everything that was applied so far; no file of the journal of before is needed afterwards. */
  readonly renew: () => Promise<void>;
}

export class SourceFiles {
  readonly #parts: SourceFilesParts;
  #renewal: Promise<void> | undefined;
  #notBefore = -Infinity;
  #replaced = 0;
  #problem: string | undefined;

  constructor(parts: SourceFilesParts) {
    this.#parts = parts;
  }

  get damage(): DamageFound {
    return { replaced: this.#replaced, problem: this.#problem };
  }

  /** As in JournalSource. What is damaged is as good as gone. */
  async readRecords(first: number, bytesMax: number): Promise<Buffer[] | undefined> {
    try {
      return await this.#parts.read(first, bytesMax);
    } catch (error) {
      await this.#replace(error);
      return undefined;
    }
  }

  /** As in JournalSource. */
  async openSnapshot(beyond: number): Promise<OpenSnapshot | undefined> {
    const open = async (): Promise<OpenSnapshot | undefined> => {
      const found = await openNewestSnapshot(this.#parts.disk, beyond);
      if (found !== undefined || beyond > 0 || (await this.#parts.read(1, 1)) !== undefined) return found;
      throw new FsError("EIO", "the snapshot is missing on which the journal continues");
    };
    try {
      return await open();
    } catch (error) {
      await this.#replace(error);
      return open();
    }
  }

  /** Rejects with `found` when it is not damage, or cannot be made good now. */
  async #replace(found: unknown): Promise<void> {
    const { clock, log } = this.#parts;
    if (errnoOf(found) !== "EIO") throw found;
    if (this.#renewal === undefined) {
      if (clock.monotonicMillis() < this.#notBefore) throw found;
      log.error({ err: found }, "the name server's disk has damaged the metadata: a new snapshot takes their place");
      this.#renewal = this.#renewed((found as Error).message).finally(() => {
        this.#renewal = undefined;
        this.#notBefore = clock.monotonicMillis() + pauseMillis;
      });
    }
    await this.#renewal;
  }

  async #renewed(found: string): Promise<void> {
    try {
      await this.#parts.renew();
    } catch (cause) {
      this.#problem = `${found}; no new snapshot could take its place: ${(cause as Error).message}`;
      throw new FsError("EIO", this.#problem, { cause });
    }
    this.#replaced += 1;
    this.#problem = undefined;
    this.#parts.log.warn({ found }, "a new snapshot was taken: what was damaged is not needed any more");
  }
}
