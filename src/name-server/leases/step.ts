/** What one event brings about: effects for the caller, and the inodes whose queues have to be looked at again. */
import type { SessionId } from "../../base/ids.ts";
import { inodeOf, type InodeLeases, type LeaseState, type Waiter } from "./state.ts";
import type { Effects, SentRecall } from "./types.ts";

export class Step implements Effects<unknown> {
  readonly now: number;
  readonly recalls: SentRecall[] = [];
  readonly ends: SessionId[] = [];
  readonly runs: Waiter[] = [];
  readonly #state: LeaseState;
  readonly #touched = new Set<InodeLeases>();

  constructor(state: LeaseState, now: number) {
    this.#state = state;
    this.now = now;
  }

  touch(inode: InodeLeases): void {
    this.#touched.add(inode);
  }

  touchWants(waiter: Waiter): void {
    for (const { ino } of waiter.wants) this.touch(inodeOf(this.#state, ino));
  }

  next(): InodeLeases | undefined {
    for (const inode of this.#touched) {
      this.#touched.delete(inode);
      return inode;
    }
    return undefined;
  }
}
