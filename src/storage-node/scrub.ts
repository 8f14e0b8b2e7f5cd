/**
 * The scrub of a storage node: reads every block, in the order of group and number, and verifies it; in the background at
 * a set rate, or by order without pauses. Clients come first: while they are served, it rests twice as long as it reads.
 *
 * Invariants: one pass is under way at most; its position is saved now and then, so that a restart goes on from there
 * (what is verified twice does no harm); a damaged block is told until it is whole or gone. Nothing here changes a block.
 */
import { sleep, type Clock } from "../base/clock.ts";
import type { Disk } from "../base/disk.ts";
import { FsError } from "../base/errno.ts";
import { blockName, type BlockId, type GroupId } from "../base/ids.ts";
import type { Log } from "../base/log.ts";
import type { BlockStore, Verdict } from "../block-store/types.ts";
import type { ScrubReport } from "../protocol/scrub-methods.ts";
import { DamageList } from "./damage-list.ts";
import { loadScrubPosition, saveScrubPosition, type ScrubPosition } from "./scrub-position.ts";

export interface ScrubOptions {
  /** The node's folder: for the position. */
  readonly disk: Disk;
  readonly store: BlockStore;
  readonly clock: Clock;
  readonly log: Log;
  /** Bytes per second; 0: only by order. Absent: what reads everything in two weeks, but at least 1 MiB. */
  readonly bytesPerSecond?: number | undefined;
}

const dayMillis = 24 * 3_600_000;
/** A pass begins no sooner after the beginning of the one before. */
const passMillisMin = dayMillis;
const passMillisWanted = 14 * dayMillis;
const rateMin = 1024 * 1024;
const saveMillis = 30_000;
/** How soon a damaged block is looked at again, and how many of them at a time. */
const lookAgainMillis = 3_000;
const lookAgainBlocks = 32;
const idleMillis = 60_000;
const listedAtOnce = 64;

export class Scrub {
  readonly #options: ScrubOptions;
  readonly #damaged: DamageList;
  readonly #stopping = new AbortController();
  #position: ScrubPosition;
  #savedAt = -Infinity;
  #foreground: () => number = () => 0;
  #foregroundSeen = 0;
  /** Interrupts a pause. */
  #wake: AbortController | undefined;
  #running: Promise<unknown> = Promise.resolve();
  #saving: Promise<void> = Promise.resolve();

  private constructor(options: ScrubOptions, position: ScrubPosition) {
    this.#options = options;
    this.#position = position;
    this.#damaged = new DamageList(options.clock);
  }

  static async open(options: ScrubOptions): Promise<Scrub> {
    return new Scrub(options, await loadScrubPosition(options.disk, options.log));
  }

  /** @param foreground how many requests of clients the node has served, ever */
  start(foreground: () => number): void {
    this.#foreground = foreground;
    this.#running = Promise.all([this.#run(), this.#lookAgain()]);
  }

  /** A pass from the beginning, now; returns its number when the order would survive a crash. */
  async order(): Promise<number> {
    if (!this.#isOrdered) {
      this.#move({ ...beginning, startedMillis: this.#nowMillis(), ordered: this.#position.ordered + 1 });
      this.#wake?.abort();
    }
    const { ordered } = this.#position;
    await this.#save();
    return ordered;
  }

  /** Verifies these, and remembers what is damaged. */
  async check(blocks: readonly BlockId[]): Promise<{ damaged: BlockId[]; missing: BlockId[] }> {
    const damaged: BlockId[] = [];
    const missing: BlockId[] = [];
    for (const block of blocks) {
      const verdict = await this.#verify(block);
      if (verdict === "damaged") damaged.push(block);
      if (verdict === "missing") missing.push(block);
    }
    return { damaged, missing };
  }

  report(): ScrubReport {
    const { blocks, bytes, startedMillis, lastPassMillis, found, repaired, ordered, orderedDone } = this.#position;
    const ofBytes = this.#options.store.space().liveBytes;
    const left = this.#damaged.size;
    const isRunning = startedMillis !== null && (this.#isOrdered || this.#rate() > 0);
    return { blocks, bytes, ofBytes, isRunning, lastPassMillis, found, repaired, left, ordered, orderedDone };
  }

  /** Tells the name server what it has to hear, if anything. Rejects as `tell` does; then it is told again. */
  async tell(tell: (blocks: BlockId[]) => Promise<unknown>): Promise<void> {
    const blocks = this.#damaged.toTell();
    if (blocks.length === 0) return;
    try {
      await tell(blocks);
    } catch (error) {
      this.#damaged.untold(blocks);
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#stopping.abort(new FsError("ECANCELED", "the storage node stops"));
    this.#wake?.abort();
    await this.#running;
    await this.#save();
  }

  get #isOrdered(): boolean {
    return this.#position.orderedDone < this.#position.ordered;
  }

  #isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    const { log } = this.#options;
    while (!this.#isStopping()) {
      try {
        if (this.#isDue()) await this.#pass();
        else await this.#pause(idleMillis);
      } catch (error) {
        if (this.#isStopping()) return;
        log.error({ err: error }, "the scrub was interrupted: it goes on in a minute");
        await this.#pause(idleMillis);
      }
    }
  }

  #isDue(): boolean {
    if (this.#isOrdered) return true;
    if (this.#rate() === 0) return false;
    const { startedMillis, lastPassMillis } = this.#position;
    if (startedMillis !== null || lastPassMillis === null) return true;
    const passed = this.#nowMillis() - lastPassMillis;
    return passed < 0 || passed >= passMillisMin;
  }

  /** From the position to the end; leaves off when another pass is ordered. */
  async #pass(): Promise<void> {
    const { store, log } = this.#options;
    const order = this.#position.ordered;
    if (this.#position.startedMillis === null) this.#move({ ...beginning, startedMillis: this.#nowMillis() });
    const groups = store.greatest().map(({ group }) => group);
    groups.sort((a, b) => a - b);
    for (const group of groups.filter((candidate) => candidate >= this.#position.group)) {
      if (group > this.#position.group) this.#move({ group, number: 0 });
      for (let isLast = false; !isLast;) {
        const blocks = store.list(group, this.#position.number, listedAtOnce);
        isLast = blocks.length < listedAtOnce;
        for (const { block, length } of blocks) {
          await this.#verifyInTurn(block, length);
          if (this.#isStopping() || this.#position.ordered !== order) return;
          const { blocks: before, bytes } = this.#position;
          this.#move({ group, number: block.number + 1, blocks: before + 1, bytes: bytes + length });
          if (this.#options.clock.monotonicMillis() - this.#savedAt >= saveMillis) await this.#save();
        }
      }
    }
    const { blocks, bytes, found, repaired } = this.#position;
    this.#move({ ...beginning, lastPassMillis: this.#nowMillis(), orderedDone: order });
    await this.#save();
    log.info({ blocks, bytes, found, repaired, damaged: this.#damaged.size }, "everything was read and verified");
  }

  async #verifyInTurn(block: BlockId, length: number): Promise<void> {
    const { clock } = this.#options;
    const start = clock.monotonicMillis();
    await this.#verify(block);
    const took = clock.monotonicMillis() - start;
    const foreground = this.#foreground();
    const rest = foreground === this.#foregroundSeen ? 0 : 2 * took;
    this.#foregroundSeen = foreground;
    const wanted = this.#isOrdered ? 0 : (length / this.#rate()) * 1000 - took;
    await this.#pause(Math.max(rest, wanted));
  }

  async #verify(block: BlockId): Promise<Verdict> {
    const verdict = await this.#options.store.verify(block);
    const news = this.#damaged.note(block, verdict);
    const { found, repaired } = this.#position;
    if (news === "found") {
      this.#options.log.error({ block: blockName(block) }, "a block is damaged on this node's disk");
      this.#move({ found: found + 1 });
    } else if (news === "repaired") this.#move({ repaired: repaired + 1 });
    return verdict;
  }

  /** Damaged blocks, until they are whole or gone. Never rejects. */
  async #lookAgain(): Promise<void> {
    const { clock, log } = this.#options;
    while (!this.#isStopping()) {
      try {
        await sleep(clock, lookAgainMillis, this.#stopping.signal);
        for (const block of this.#damaged.next(lookAgainBlocks)) await this.#verify(block);
      } catch (error) {
        if (!this.#isStopping()) log.error({ err: error }, "damaged blocks could not be looked at again");
      }
    }
  }

  #rate(): number {
    const { bytesPerSecond, store } = this.#options;
    return bytesPerSecond ?? Math.max(rateMin, store.space().liveBytes / (passMillisWanted / 1000));
  }

  #nowMillis(): number {
    return Number(this.#options.clock.wallNanos() / 1_000_000n);
  }

  #move(change: Partial<ScrubPosition>): void {
    this.#position = { ...this.#position, ...change };
  }

  /** Ends early by `order` and `close`. Gives other work its turn in any case. */
  async #pause(millis: number): Promise<void> {
    const wake = new AbortController();
    this.#wake = wake;
    if (this.#isStopping()) return;
    await sleep(this.#options.clock, Math.max(0, millis), wake.signal).catch(() => undefined);
  }

  /** Never rejects: a full disk must not end the scrub. */
  #save(): Promise<void> {
    const { disk, clock, log } = this.#options;
    this.#savedAt = clock.monotonicMillis();
    this.#saving = this.#saving.then(() =>
      saveScrubPosition(disk, this.#position).catch((error: unknown) => {
        log.warn({ err: error }, "the scrub's position could not be saved");
      }),
    );
    return this.#saving;
  }
}

const beginning = { group: 0 as GroupId, number: 0, blocks: 0, bytes: 0, startedMillis: null };
