/**
 * How many blocks this client writes at once: their flights wait here, those that somebody waits for first, else in
 * the order of asking.
 */
import type { Flight } from "./flight.ts";

interface Waiting {
  readonly flight: Flight;
  readonly start: () => void;
}

export class BlockSlots {
  inUse = 0;
  readonly #max: number;
  readonly #waiting: Waiting[] = [];

  constructor(max: number) {
    this.#max = max;
  }

  /** Runs `write` for the flight when its turn comes; the slot is free again when that has settled (it never rejects). */
  run(flight: Flight, write: () => Promise<void>): void {
    const start = (): void => {
      this.inUse++;
      void write().finally(() => {
        this.inUse--;
        this.#next();
      });
    };
    if (this.inUse < this.#max) start();
    else this.#waiting.push({ flight, start });
  }

  #next(): void {
    const urgent = this.#waiting.findIndex(({ flight }) => flight.urgent);
    const [next] = this.#waiting.splice(Math.max(urgent, 0), 1);
    next?.start();
  }
}
