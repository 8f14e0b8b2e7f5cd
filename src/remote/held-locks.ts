/**
 * The file locks that this session holds, as the server's replies have said: what is taken again when a restarted
 * server has lost them. Pure memory; per inode, kind and owner the pieces are in order, apart, and neighbours differ in type.
 */
import type { Ino } from "../base/ids.ts";
import type { Lock } from "../protocol/types.ts";

export interface HeldLock {
  readonly ino: Ino;
  readonly lock: Lock;
}

export class HeldLocks {
  readonly #pieces = new Map<string, HeldLock[]>();
  #count = 0;

  /** Ranges held. */
  get count(): number {
    return this.#count;
  }

  /** The server has done this: takes, converts or (type "unlock") releases a range. */
  set(ino: Ino, lock: Lock): void {
    const key = keyOf(ino, lock);
    const before = this.#pieces.get(key) ?? [];
    const after = lock.type === "unlock" ? cut(before, lock) : joined([...cut(before, lock), { ino, lock }]);
    this.#count += after.length - before.length;
    if (after.length > 0) this.#pieces.set(key, after);
    else this.#pieces.delete(key);
  }

  /**
   * What makes the server's state of a range what is remembered here, whatever it is now: the pieces of `lock`'s owner
   * within `lock`'s range, and an unlock for each gap between them.
   */
  corrections(ino: Ino, lock: Lock): HeldLock[] {
    const within: HeldLock[] = [];
    let next = lock.start;
    const gapTo = (end: bigint): void => {
      if (next <= end) within.push({ ino, lock: { ...lock, type: "unlock", start: next, end } });
    };
    for (const { lock: piece } of this.#pieces.get(keyOf(ino, lock)) ?? []) {
      if (piece.end < lock.start || piece.start > lock.end) continue;
      const start = piece.start > lock.start ? piece.start : lock.start;
      const end = piece.end < lock.end ? piece.end : lock.end;
      gapTo(start - 1n);
      within.push({ ino, lock: { ...piece, start, end } });
      next = end + 1n;
    }
    gapTo(lock.end);
    return within;
  }

  all(): HeldLock[] {
    return [...this.#pieces.values()].flat();
  }

  clear(): void {
    this.#pieces.clear();
    this.#count = 0;
  }
}

function keyOf(ino: Ino, lock: Pick<Lock, "kind" | "owner">): string {
  return `${String(ino)}/${lock.kind}/${String(lock.owner)}`;
}

/** What remains outside of `range`. */
function cut(pieces: readonly HeldLock[], range: Lock): HeldLock[] {
  const rest: HeldLock[] = [];
  for (const { ino, lock } of pieces) {
    if (lock.end < range.start || lock.start > range.end) {
      rest.push({ ino, lock });
      continue;
    }
    if (lock.start < range.start) rest.push({ ino, lock: { ...lock, end: range.start - 1n } });
    if (lock.end > range.end) rest.push({ ino, lock: { ...lock, start: range.end + 1n } });
  }
  return rest;
}

function joined(pieces: HeldLock[]): HeldLock[] {
  pieces.sort((a, b) => (a.lock.start < b.lock.start ? -1 : 1));
  const out: HeldLock[] = [];
  for (const piece of pieces) {
    const last = out.at(-1);
    if (last?.lock.type === piece.lock.type && last.lock.end + 1n === piece.lock.start) {
      out[out.length - 1] = { ino: last.ino, lock: { ...last.lock, end: piece.lock.end } };
    } else out.push(piece);
  }
  return out;
}
