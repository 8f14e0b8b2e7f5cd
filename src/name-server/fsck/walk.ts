/** Reading a pinned state in order, page by page, so that requests never wait longer than for one page. */
import type { Key } from "../../metadata-store/types.ts";
import type { Check } from "./types.ts";

type Reading = Pick<Check, "state" | "pause">;

/** About 1 ms of the thread with what the passes do for each pair. */
const pageBytes = 16 * 1024;

/** All pairs whose keys begin with `prefix`, in order. Values are the visitor's. */
export async function each(
  { state, pause }: Reading,
  prefix: string,
  visit: (key: Key, value: Buffer) => void,
): Promise<void> {
  for (let after: Key = prefix; ;) {
    const page = state.page(after, pageBytes);
    for (const [key, value] of page) {
      if (!key.startsWith(prefix)) return;
      visit(key, value);
    }
    const last = page.at(-1);
    if (last === undefined) return;
    after = last[0];
    await pause();
  }
}

/** Whether there is a key that begins with `prefix`. */
export function hasAny({ state }: Reading, prefix: string): boolean {
  return state.page(prefix, 1)[0]?.[0].startsWith(prefix) === true;
}

/** All pairs whose keys begin with `prefix`, taken one by one. */
export class Cursor {
  readonly #reading: Reading;
  readonly #prefix: string;
  #page: readonly (readonly [Key, Buffer])[] = [];
  #at = 0;

  private constructor(reading: Reading, prefix: string) {
    this.#reading = reading;
    this.#prefix = prefix;
  }

  static open(reading: Reading, prefix: string): Cursor {
    const cursor = new Cursor(reading, prefix);
    cursor.#page = reading.state.page(prefix, pageBytes);
    return cursor;
  }

  /** Undefined at the end. */
  get current(): readonly [Key, Buffer] | undefined {
    const pair = this.#page[this.#at];
    return pair?.[0].startsWith(this.#prefix) === true ? pair : undefined;
  }

  /** Goes on to the next pair; to be awaited if it returns a promise. */
  next(): Promise<void> | undefined {
    const last = this.#page[this.#at];
    this.#at++;
    if (this.#at < this.#page.length || last === undefined) return undefined;
    return this.#reading.pause().then(() => {
      this.#page = this.#reading.state.page(last[0], pageBytes);
      this.#at = 0;
    });
  }
}

/** The index of a number in an ascending list, or -1. */
export function indexIn(sorted: readonly number[], wanted: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as number) < wanted) low = middle + 1;
    else high = middle;
  }
  return sorted[low] === wanted ? low : -1;
}
