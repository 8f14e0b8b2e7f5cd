/** Changes of the index that its backend does not have yet, by block: a location, or null for removed. */
import type { BlockId, GroupId } from "../base/ids.ts";
import type { Location } from "./record.ts";

export class IndexOverlay {
  readonly #groups = new Map<GroupId, Map<number, Location | null>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(block: BlockId): Location | null | undefined {
    return this.#size === 0 ? undefined : this.#groups.get(block.group)?.get(block.number);
  }

  set(block: BlockId, location: Location | null): void {
    let numbers = this.#groups.get(block.group);
    if (numbers === undefined) {
      numbers = new Map<number, Location | null>();
      this.#groups.set(block.group, numbers);
    }
    if (!numbers.has(block.number)) this.#size += 1;
    numbers.set(block.number, location);
  }

  /** Unsorted. */
  ofGroup(group: GroupId): Iterable<readonly [number, Location | null]> {
    return this.#groups.get(group) ?? [];
  }

  *entries(): Iterable<readonly [BlockId, Location | null]> {
    for (const [group, numbers] of this.#groups) {
      for (const [number, location] of numbers) yield [{ group, number }, location];
    }
  }
}
