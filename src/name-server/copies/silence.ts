/**
 * Who leaves a record unanswered for too long. Time during which this process stood still does not count (it counts at
 * most a tick, as everywhere in the name server).
 */
import type { Clock } from "../../base/clock.ts";
import type { NodeId } from "../../base/ids.ts";
import { limits } from "../../base/limits.ts";

const tickMillisMax = 1_000;

export class Silence {
  readonly #clock: Clock;
  #listened = 0;
  #lastTick: number;
  #waitingSince: number | undefined;
  readonly #heardAt = new Map<NodeId, number>();
  readonly #goneSince = new Map<NodeId, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#lastTick = clock.monotonicMillis();
  }

  tick(): void {
    const now = this.#clock.monotonicMillis();
    this.#listened += Math.min(now - this.#lastTick, tickMillisMax);
    this.#lastTick = now;
  }

  /** Something waits for these nodes. */
  begin(nodes: readonly NodeId[]): void {
    if (this.#waitingSince !== undefined) return;
    this.#waitingSince = this.#now();
    for (const node of nodes) this.#heardAt.delete(node);
  }

  heard(node: NodeId): void {
    this.#heardAt.set(node, this.#now());
  }

  end(): void {
    this.#waitingSince = undefined;
  }

  isSilent(node: NodeId): boolean {
    if (this.#waitingSince === undefined) return false;
    return this.#now() - Math.max(this.#waitingSince, this.#heardAt.get(node) ?? 0) > limits.memberSilentMillis;
  }

  /** Whether it has had no connection for so long. */
  isGone(node: NodeId, isConnected: boolean): boolean {
    if (isConnected) {
      this.#goneSince.delete(node);
      return false;
    }
    const since = this.#goneSince.get(node) ?? this.#now();
    this.#goneSince.set(node, since);
    return this.#now() - since > limits.memberSilentMillis;
  }

  #now(): number {
    return this.#listened + Math.min(this.#clock.monotonicMillis() - this.#lastTick, tickMillisMax);
  }
}
