/**
 * One storage node whose copy is brought to where the journal is, and kept there: one call in flight at a time. What
 * fails is tried again, from what the node says that it has.
 */
import { sleep, type Clock } from "../../base/clock.ts";
import { errnoOf } from "../../base/errno.ts";
import type { NodeId } from "../../base/ids.ts";
import type { Log } from "../../base/log.ts";
import { deferred, type Deferred } from "../../base/deferred.ts";
import type { Position } from "../../journal/position.ts";
import type { JournalSource } from "../../metadata-store/types.ts";
import type { Claim } from "../../protocol/journal-methods.ts";
import { renewBase, sendNewCopy } from "./base-sender.ts";
import type { Feed } from "./feed.ts";
import type { CopyPeer } from "./types.ts";

export interface FollowerParts {
  readonly node: NodeId;
  readonly feed: Feed;
  readonly source: JournalSource;
  readonly clock: Clock;
  readonly log: Log;
  readonly claim: () => Claim;
  /** Its connection now, on which it has promised to obey; undefined: none. */
  readonly peer: () => CopyPeer | undefined;
  /** Its copy has moved on. `sentAt`: when the call was sent that showed so. */
  readonly onProgress: (sentAt: number) => void;
  /** It has refused with ESTALE. */
  readonly onRefused: () => void;
  /** Its disk is full. */
  readonly onFull: () => void;
}

const retryMillis = 200;
/** A full disk may need a while, and what it could not take may be long. */
const fullRetryMillis = 2_000;

export class Follower {
  /** What is on its disk, as far as it is known to continue the journal. */
  end: Position | undefined;
  /** It takes what is in memory: only a moment behind. */
  isNear = false;
  readonly #parts: FollowerParts;
  readonly #stopping = new AbortController();
  #wake: Deferred<void> | undefined;
  #baseIndex = 0;
  #isRenewing = false;

  constructor(parts: FollowerParts) {
    this.#parts = parts;
    void this.#run();
  }

  /** There is something new: a record, or a connection. */
  poke(): void {
    this.#wake?.resolve();
    this.#wake = undefined;
  }

  stop(): void {
    this.#stopping.abort();
    this.poke();
  }

  /** The newest snapshot is beyond the copy's base: it is sent, beside the records. */
  renewBase(): void {
    const peer = this.#parts.peer();
    if (this.#isRenewing || peer === undefined || this.end === undefined) return;
    const { claim, source, log, node } = this.#parts;
    this.#isRenewing = true;
    renewBase(peer, claim(), source, this.#baseIndex)
      .then(
        (index) => {
          this.#baseIndex = index;
        },
        (error: unknown) => {
          log.warn({ err: error, node }, "a copy of the journal did not get its new base");
        },
      )
      .finally(() => {
        this.#isRenewing = false;
      });
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    const { clock, log, node } = this.#parts;
    while (!this.#hasStopped()) {
      const peer = this.#parts.peer();
      try {
        if (peer === undefined) {
          this.#lost();
          await this.#somethingNew();
        } else await this.#advance(peer);
      } catch (error) {
        this.#lost();
        if (this.#hasStopped()) return;
        if (errnoOf(error) === "ESTALE") this.#parts.onRefused();
        log.warn({ err: error, node }, "a copy of the journal cannot be continued now");
        const isFull = errnoOf(error) === "ENOSPC";
        if (isFull) this.#parts.onFull();
        await sleep(clock, isFull ? fullRetryMillis : retryMillis, this.#stopping.signal).catch(() => undefined);
      }
    }
  }

  #hasStopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  #lost(): void {
    this.end = undefined;
    this.isNear = false;
  }

  async #advance(peer: CopyPeer): Promise<void> {
    const { feed, clock, claim } = this.#parts;
    const after = this.end ?? (await this.#whatItHas(peer));
    if (after === undefined) {
      await this.#beginAnew(peer);
      return;
    }
    const next = await feed.next(after);
    if (next.kind === "anew") {
      await this.#beginAnew(peer);
      return;
    }
    this.end = after;
    const sentAt = clock.monotonicMillis();
    if (next.kind === "nothing") {
      this.isNear = true;
      this.#parts.onProgress(sentAt);
      if (feed.end.index === after.index) await this.#somethingNew();
      return;
    }
    const { reply } = await peer.call("appendJournal", { ...claim(), after }, { payload: next.pieces });
    this.end = reply.end;
    this.isNear = next.isRecent;
    this.#parts.onProgress(sentAt);
  }

  async #whatItHas(peer: CopyPeer): Promise<Position | undefined> {
    const { copy } = (await peer.call("journalState", {})).reply;
    this.#baseIndex = copy?.base.index ?? 0;
    return copy?.end;
  }

  async #beginAnew(peer: CopyPeer): Promise<void> {
    const { claim, source, log, node } = this.#parts;
    log.info({ node }, "a copy of the journal begins anew");
    this.end = await sendNewCopy(peer, claim(), source);
    this.#baseIndex = this.end.index;
  }

  #somethingNew(): Promise<void> {
    if (this.#hasStopped()) return Promise.resolve();
    this.#wake ??= deferred();
    return this.#wake.promise;
  }
}
