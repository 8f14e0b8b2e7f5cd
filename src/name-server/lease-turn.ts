/**
 * One request on its way through the lease table: what it wants, whether it may run, what it is granted.
 *
 * Invariants: what a request wants is looked up again in the very step in which it runs, so it runs on inodes for which it
 * had its turn. A request that nothing stands in the way of is never registered and makes no promise. Whoever made a turn
 * calls `complete` or `leave`, unless its session has ended.
 */
import { FsError } from "../base/errno.ts";
import type { Ino } from "../base/ids.ts";
import type { LeaseGrant, LeaseLevel } from "../protocol/leases.ts";
import type { Effects, LeaseRequest, LeaseTable, Want } from "./leases/types.ts";
import { cover, distinct } from "./leases/wants.ts";
import type { Session } from "./types.ts";

/** What all turns share. */
export interface Turns {
  readonly table: LeaseTable<LeaseTurn>;
  /** Those whose callers wait. */
  readonly waiting: Set<LeaseTurn>;
  readonly now: () => number;
  readonly act: (effects: Effects<LeaseTurn>) => void;
  /** Sessions of before a restart have not all said yet what they have: nothing runs. */
  readonly awaitsOthers: () => boolean;
}

export interface TurnRequest {
  readonly session: Session;
  /** What the request wants of the state as it is now. Must not throw. */
  readonly wants: () => readonly Want[];
  readonly signal: () => AbortSignal;
  /** It goes on when its connection breaks: it will be sent again, and then joined. */
  readonly outlivesConnection: boolean;
}

export class LeaseTurn {
  readonly #turns: Turns;
  readonly #asked: TurnRequest;
  #wants: readonly Want[] = [];
  #request: LeaseRequest<LeaseTurn> | undefined;
  #wake: (() => void) | undefined;

  constructor(turns: Turns, asked: TurnRequest) {
    this.#turns = turns;
    this.#asked = asked;
  }

  get session(): Session {
    return this.#asked.session;
  }

  /**
   * Undefined: the request may run, now, before anything else happens. A promise: to be asked again when it has resolved;
   * rejects when the caller gave up. Throws ESTALE when the session has ended, EAGAIN when too many of it wait.
   */
  ready(): Promise<void> | undefined {
    const { session } = this;
    if (session.ended) throw new FsError("ESTALE", `session ${session.id} has ended`);
    if (this.#turns.awaitsOthers()) return this.#wait();
    const { table, act, now } = this.#turns;
    const wants = this.#asked.wants();
    if (this.#request === undefined) {
      this.#wants = wants;
      if (table.isFree(session.id, wants)) return undefined;
      const { request, effects } = table.request({ session: session.id, wants, task: this }, now());
      this.#request = request;
      act(effects);
    } else if (this.#request.state === "ready" && !cover(this.#request.wants, distinct(wants))) {
      act(table.retry(this.#request, wants, now()));
    }
    return this.#request.state === "ready" ? undefined : this.#wait();
  }

  /** It takes nothing from anybody, so it did not wait. */
  get wantsNothing(): boolean {
    return this.#wants.length === 0 && this.#request === undefined;
  }

  /** The request has run in this same step: what it is granted. `beside`: an inode that it made. */
  complete(beside?: { readonly ino: Ino; readonly level: LeaseLevel }): LeaseGrant[] {
    const { table, act, now } = this.#turns;
    const { grants, effects } =
      this.#request === undefined
        ? table.take(this.session.id, this.#wants, now())
        : table.complete(this.#request, now());
    const made = beside === undefined ? undefined : table.offer(this.session.id, beside, now());
    if (made !== undefined) grants.push(made);
    if (effects !== undefined) act(effects);
    return grants;
  }

  /** A lease on an inode of which the reply tells beside what was asked; undefined: not granted. */
  offer(ino: Ino, level: LeaseLevel): LeaseGrant | undefined {
    return this.#turns.table.offer(this.session.id, { ino, level }, this.#turns.now());
  }

  /** It has failed, or will not run. */
  leave(): void {
    if (this.#request !== undefined) this.#turns.act(this.#turns.table.cancel(this.#request, this.#turns.now()));
  }

  /** Something has changed for it: it looks again. */
  wake(): void {
    this.#wake?.();
  }

  #wait(): Promise<void> {
    return new Promise((resolve, reject) => {
      const signal = this.#asked.signal();
      const settle = (): void => {
        signal.removeEventListener("abort", aborted);
        this.#turns.waiting.delete(this);
        this.#wake = undefined;
      };
      const aborted = (): void => {
        const reason = signal.reason as Error;
        if (this.#asked.outlivesConnection && !isCancellation(reason)) return;
        settle();
        this.leave();
        reject(reason);
      };
      this.#wake = () => {
        settle();
        resolve();
      };
      this.#turns.waiting.add(this);
      signal.addEventListener("abort", aborted, { once: true });
      if (signal.aborted) aborted();
    });
  }
}

/** Else the connection broke. */
function isCancellation(reason: Error): boolean {
  return reason instanceof FsError && reason.errno === "ECANCELED";
}
