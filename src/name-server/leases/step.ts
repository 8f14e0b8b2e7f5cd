/** What one event brings about: effects for the caller, and the inodes whose queues have to be looked at again. */
import type { InodeLeases, LeaseState, Waiter } from "./state.ts";
import { inodeOf } from "./state.ts";
import type { Effects, SentRecall } from "./types.ts";
import type { SessionId } from "../../base/ids.ts";

export class Step implements Effects<unknown> {
  readonly now: number;
  readonly recalls: SentRecall[] = [];
  readonly ends: SessionId[] = [];
  readonly runs: Waiter[] = [];
  readonly #state: LeaseState;
  readonly #touched: InodeLeases[] = [];

  constructor(state: LeaseState, now: number) {
    this.#state = state;
    this.now = now;
  }

  touch(inode: InodeLeases): void {
    if (!this.#touched.includes(inode)) this.#touched.push(inode);
  }

  touchWants(waiter: Waiter): void {
    for (const { ino } of waiter.wants) this.touch(inodeOf(this.#state, ino));
  }

  next(): InodeLeases | undefined {
    return this.#touched.pop();
  }
}
