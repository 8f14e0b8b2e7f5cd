/**
 * Whether a state is what it should be. Checksums of values show wrong bytes, not what LMDB does when one of its own pages has
 * rotted: keys that are missing, out of order, or there for a walk and not for a search. So everything is walked in order,
 * each key is searched for as a request would, and what each table adds up to is compared with its sum.
 */
import { FsError } from "../base/errno.ts";
import { TableSums } from "./table-sums.ts";
import type { Key, PinnedState } from "./types.ts";
import { keyText, valueChecksum } from "./value-checksum.ts";

/** Read at a time: about 1 ms of the thread. */
const pageBytes = 64 * 1024;
const keyBytesMax = 511;
const lastTable = 0xff;

/** The store is not what it should be. */
export class WrongState extends FsError {
  constructor(why = "it does not add up to its table sums: values are missing or too many") {
    super("EIO", `the materialised store is damaged: ${why}`);
    this.name = "WrongState";
  }
}

/** All tables. Rejects with WrongState or EIO, or as `pause` does, which is called after each page of so many bytes. */
export async function verifyState(state: PinnedState, pause: (bytes: number) => Promise<void>): Promise<void> {
  for (let next: number | undefined = 0; next !== undefined;) next = await verifyTable(state, next, pause);
}

/**
 * The first table (a key's first byte) that has anything, from `from` on; those before it are to have nothing. Resolves with
 * the one to go on with; undefined: that was the last. Otherwise as `verifyState`.
 */
export async function verifyTable(
  state: PinnedState,
  from: number,
  pause: (bytes: number) => Promise<void>,
): Promise<number | undefined> {
  const sums = new TableSums();
  let table: number | undefined;
  for (const page of pagesOf(state, lastBefore(from))) {
    table ??= page[0]?.[0].charCodeAt(0);
    let bytes = 0;
    let isOver = false;
    for (const [key, value] of page) {
      isOver = key.charCodeAt(0) !== table;
      if (isOver) break;
      if (state.get(key) === undefined) throw new WrongState(`a search does not find its key ${keyText(key)}`);
      sums.add(key, valueChecksum(key, value));
      bytes += key.length + value.length;
    }
    await pause(bytes);
    if (isOver) break;
  }
  if (!TableSums.decode(state.sums).agrees(sums, from, table ?? lastTable)) throw new WrongState();
  return table === undefined || table === lastTable ? undefined : table + 1;
}

/** Everything above a key, in pages that are never empty. Throws WrongState if it is not in order. */
export function* pagesOf(state: PinnedState, after: Key = ""): Generator<(readonly [Key, Buffer])[], undefined> {
  for (let previous = after; ;) {
    const page = state.page(previous, pageBytes);
    if (page.length === 0) return;
    for (const [key] of page) {
      if (key <= previous) throw new WrongState(`key ${keyText(key)} is out of order`);
      previous = key;
    }
    yield page;
  }
}

/** Not below any key of the tables before. */
function lastBefore(table: number): Key {
  return table === 0 ? "" : String.fromCharCode(table - 1) + "\u00ff".repeat(keyBytesMax);
}
