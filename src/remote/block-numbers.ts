/**
 * Block numbers at hand for blocks with one number of copies: ranges that the name server has handed to this session, used one by one. Groups take turns, so
 * that blocks written at the same time go to different nodes. More are asked for before the last is used, in batches
 * that grow while they are used up quickly.
 *
 * Invariants: a number is given out once; numbers of a lost session are dropped; one request at a time; at most
 * `limits.blockNumbersMax` numbers are kept.
 */
import type { Clock } from "../base/clock.ts";
import type { BlockId, GroupId, NodeId, SessionId } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import type { ClusterMap, PlacementGroup } from "../protocol/types.ts";
import type { NameServer } from "./types.ts";

export interface NumberedBlock {
  readonly block: BlockId;
  /** The block's group as the newest map has it. */
  readonly group: PlacementGroup;
}

interface Range {
  next: number;
  count: number;
}

/** Enough for ranges in several groups: the server hands out no small ones. */
const batchMin = 64;
const batchMax = 512;
/** A batch that lasts for less is doubled, one that lasts for more than ten times that is halved. */
const batchMillis = 1_000;
const avoidMax = 64;

export interface BlockNumbersOptions {
  readonly nameServer: Pick<NameServer, "change" | "map" | "session">;
  readonly clock: Clock;
  readonly log: Log;
  /** Copies of the blocks; absent: the cluster's default. */
  readonly replicas?: number | undefined;
}

export class BlockNumbers {
  readonly #nameServer: BlockNumbersOptions["nameServer"];
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #replicas: number | undefined;
  /** In the order of their turns. */
  readonly #ranges = new Map<GroupId, Range[]>();
  #count = 0;
  #session: SessionId | undefined;
  #groups = new Map<GroupId, PlacementGroup>();
  #groupsOf: ClusterMap | undefined;
  #batch = batchMin;
  #askedAt = -Infinity;
  #asking: Promise<void> | undefined;

  constructor(options: BlockNumbersOptions) {
    this.#nameServer = options.nameServer;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#replicas = options.replicas;
  }

  /** Numbers at hand. */
  get count(): number {
    return this.#count;
  }

  /** The next number in a group that is `usable`, or undefined: `refill`, then try again. */
  take(usable: (group: PlacementGroup) => boolean): NumberedBlock | undefined {
    this.#checkSession();
    const groups = this.#currentGroups();
    for (const [id, ranges] of this.#ranges) {
      const group = groups.get(id);
      if (group === undefined || !usable(group)) continue;
      const number = this.#draw(id, ranges);
      if (this.#count < this.#batch / 2) this.#refillAhead();
      return { block: { group: id, number }, group };
    }
    return undefined;
  }

  /**
   * Asks for more, in groups without the nodes in `avoid`; joins a request under way, whatever that avoids. Rejects as
   * `allocateBlocks` does: ENOSPC, EAGAIN.
   */
  refill(avoid: readonly NodeId[]): Promise<void> {
    this.#asking ??= this.#ask(avoid).finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  #refillAhead(): void {
    if (this.#asking !== undefined) return;
    this.#adapt();
    this.refill([]).catch((error: unknown) => {
      // Whoever needs a number asks again and gets the error.
      this.#log.debug({ err: error }, "no block numbers were fetched ahead");
    });
  }

  /** The size of the next batch, by how long the one before has lasted. */
  #adapt(): void {
    const now = this.#clock.monotonicMillis();
    const lasted = now - this.#askedAt;
    this.#askedAt = now;
    if (lasted < batchMillis) this.#batch = Math.min(this.#batch * 2, batchMax);
    else if (lasted > 10 * batchMillis) this.#batch = Math.max(this.#batch / 2, batchMin);
  }

  async #ask(avoid: readonly NodeId[]): Promise<void> {
    const { ranges } = await this.#nameServer.change("allocateBlocks", {
      count: this.#batch,
      avoid: avoid.slice(0, avoidMax),
      ...(this.#replicas === undefined ? {} : { replicas: this.#replicas }),
    });
    this.#checkSession();
    for (const { group, first, count } of ranges) {
      this.#makeRoom(count);
      const kept = this.#ranges.get(group);
      if (kept === undefined) this.#ranges.set(group, [{ next: first, count }]);
      else kept.push({ next: first, count });
      this.#count += count;
    }
  }

  /** Takes one number, and puts the group behind the others. */
  #draw(id: GroupId, ranges: Range[]): number {
    const range = ranges[0] as Range;
    const number = range.next++;
    range.count--;
    this.#count--;
    if (range.count === 0) ranges.shift();
    this.#ranges.delete(id);
    if (ranges.length > 0) this.#ranges.set(id, ranges);
    return number;
  }

  /** Drops the numbers that have not been usable for longest. */
  #makeRoom(count: number): void {
    for (const [id, ranges] of this.#ranges) {
      if (this.#count + count <= limits.blockNumbersMax) return;
      for (const range of ranges) this.#count -= range.count;
      this.#ranges.delete(id);
    }
  }

  #checkSession(): void {
    const { session } = this.#nameServer;
    if (session === this.#session) return;
    this.#session = session;
    this.#ranges.clear();
    this.#count = 0;
  }

  #currentGroups(): Map<GroupId, PlacementGroup> {
    const { map } = this.#nameServer;
    if (map !== this.#groupsOf) {
      this.#groupsOf = map;
      this.#groups = new Map(map.groups.map((group) => [group.group, group]));
    }
    return this.#groups;
  }
}
