/**
 * Simulated time: everything that happens is an event in one queue, ordered by its due time and then by when it was asked
 * for. Before the next event everything that one has set in motion within the process has run. So a run depends on
 * nothing but what is put in here.
 */
import { crc32 } from "node:zlib";

const realImmediate = setImmediate;
const immediateMillis = 0.001;

export interface Scheduled {
  cancel(): void;
}

interface Pending {
  readonly due: number;
  readonly order: number;
  /** Undefined once it is cancelled. */
  run: (() => void) | undefined;
}

export class Events {
  /** Milliseconds. */
  now = 0;
  /** Events so far: a finer clock, on which nothing happens at the same time as anything else. */
  steps = 0;
  /** Of everything that was noted: equal runs have equal ones. */
  hash = 0;
  readonly #heap: Pending[] = [];
  readonly #onNote: ((line: string) => void) | undefined;
  #order = 0;

  /** @param onNote is told every line of the trace */
  constructor(onNote?: (line: string) => void) {
    this.#onNote = onNote;
  }

  note(line: string): void {
    this.hash = crc32(`${String(this.now)} ${line}`, this.hash);
    this.#onNote?.(`${this.now.toFixed(3).padStart(11)} ${line}`);
  }

  schedule(millis: number, run: () => void): Scheduled {
    const pending: Pending = { due: this.now + Math.max(0, millis), order: this.#order++, run };
    push(this.#heap, pending);
    return {
      cancel: () => {
        pending.run = undefined;
      },
    };
  }

  /** Lets time pass until `isOver`, at most so long; returns whether it is over. */
  async runUntil(isOver: () => boolean, millisMax: number): Promise<boolean> {
    const end = this.now + millisMax;
    await turn();
    while (!isOver()) {
      const next = this.#heap[0];
      if (next === undefined || next.due > end) {
        this.now = end;
        return isOver();
      }
      pop(this.#heap);
      if (next.run === undefined) continue;
      this.now = next.due;
      this.steps += 1;
      next.run();
      await turn();
    }
    return true;
  }

  /** "The next turn of the event loop" is an event, too, until the returned function is called. */
  takeImmediates(): () => void {
    globalThis.setImmediate = ((run: (...args: unknown[]) => void, ...args: unknown[]) =>
      this.schedule(immediateMillis, () => {
        run(...args);
      })) as unknown as typeof setImmediate;
    return () => {
      globalThis.setImmediate = realImmediate;
    };
  }
}

/** All promise reactions that are ready have run. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    realImmediate(resolve);
  });
}

function isBefore(a: Pending, b: Pending): boolean {
  return a.due < b.due || (a.due === b.due && a.order < b.order);
}

function push(heap: Pending[], pending: Pending): void {
  let at = heap.length;
  heap.push(pending);
  while (at > 0) {
    const above = (at - 1) >>> 1;
    const parent = heap[above] as Pending;
    if (!isBefore(pending, parent)) break;
    heap[at] = parent;
    at = above;
  }
  heap[at] = pending;
}

function pop(heap: Pending[]): void {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
  let at = 0;
  for (;;) {
    let below = 2 * at + 1;
    const left = heap[below];
    if (left === undefined) break;
    const right = heap[below + 1];
    const least = right !== undefined && isBefore(right, left) ? right : left;
    if (least === right) below += 1;
    if (!isBefore(least, last)) break;
    heap[at] = least;
    at = below;
  }
  heap[at] = last;
}
