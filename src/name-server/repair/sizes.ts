/**
 * How many bytes each group has, from the block records: read a piece at a time, so that requests do not notice, and
 * again after a while. What is known is a minute or more old.
 */
import type { Clock } from "../../base/clock.ts";
import type { GroupId } from "../../base/ids.ts";
import type { MetadataReader } from "../../metadata-store/types.ts";
import { blockRecords } from "./compare.ts";

export interface Sizes {
  of(group: GroupId): number | undefined;
  /** Whether every group was counted once. */
  readonly isComplete: boolean;
  /** Counts a piece; what is in `first` and not known yet before all others. */
  tick(groups: readonly GroupId[], first: readonly GroupId[]): void;
}

const recordsPerTick = 4_000;
const roundPauseMillis = 60_000;

export function createSizes(reader: MetadataReader, clock: Clock): Sizes {
  const known = new Map<GroupId, number>();
  let queue: GroupId[] = [];
  let counting: { group: GroupId; next: number; bytes: number } | undefined;
  /** Not at once after the start: there is more urgent work then. */
  let roundAt = clock.monotonicMillis();
  let isComplete = false;

  function next(groups: readonly GroupId[], first: readonly GroupId[]): GroupId | undefined {
    const wanted = first.find((group) => !known.has(group)) ?? queue.pop();
    if (wanted !== undefined) return wanted;
    if (groups.length > 0 && groups.every((group) => known.has(group))) isComplete = true;
    const now = clock.monotonicMillis();
    if (now - roundAt < roundPauseMillis) return undefined;
    roundAt = now;
    queue = [...groups].reverse();
    return queue.pop();
  }

  return {
    of: (group) => known.get(group),
    get isComplete() {
      return isComplete;
    },

    tick(groups, first) {
      for (let left = recordsPerTick; left > 0;) {
        const group = counting?.group ?? next(groups, first);
        if (group === undefined) return;
        counting ??= { group, next: 0, bytes: 0 };
        const page = blockRecords(reader, group, counting.next, left);
        counting.bytes += page.reduce((sum, { length }) => sum + length, 0);
        if (page.length < left) {
          known.set(group, counting.bytes);
          counting = undefined;
        } else counting.next = (page.at(-1)?.number ?? 0) + 1;
        left -= page.length + 1;
      }
    },
  };
}
