/**
 * The links between hosts. One delays; it can be cut in one direction or in both, and made slow. A host without power is
 * reached by nobody.
 */
import type { Random } from "../../src/base/random.ts";
import type { Events } from "./events.ts";

export class Links {
  readonly events: Events;
  readonly #random: Random;
  /** Directed: "from>to". */
  readonly #cut = new Set<string>();
  /** Milliseconds that are added to the way from a host or to it. */
  readonly #slow = new Map<string, number>();
  readonly #down = new Set<string>();
  readonly #waiting = new Set<() => void>();

  constructor(events: Events, random: Random) {
    this.events = events;
    this.#random = random;
  }

  cut(from: string, to: string): void {
    this.#cut.add(`${from}>${to}`);
  }

  /** Adds so much to each way of a host's messages; 0: no more. */
  slow(host: string, millis: number): void {
    this.#slow.set(host, millis);
  }

  /** All of them are whole and fast. */
  heal(): void {
    this.#cut.clear();
    this.#slow.clear();
    this.#retry();
  }

  /** The host has no power. */
  down(host: string): void {
    this.#down.add(host);
  }

  powered(host: string): void {
    this.#down.delete(host);
    this.#retry();
  }

  isReachable(from: string, to: string): boolean {
    return !this.#cut.has(`${from}>${to}`) && !this.#down.has(to) && !this.#down.has(from);
  }

  latency(from: string, to: string): number {
    const extra = (this.#slow.get(from) ?? 0) + (this.#slow.get(to) ?? 0);
    return 0.05 + this.#random.below(200) / 1_000 + (extra === 0 ? 0 : this.#random.below(extra));
  }

  /** Once something about them has become better. */
  whenBetter(run: () => void): void {
    this.#waiting.add(run);
  }

  #retry(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const run of waiting) run();
  }
}
