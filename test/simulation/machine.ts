/**
 * One process of the simulated world on its host: whatever is about to happen in it goes through `enter`. One that was
 * killed does nothing any more; in one that is stopped things wait, in their order, until it goes on.
 */
import type { Clock } from "../../src/base/clock.ts";
import type { Log, LogFields } from "../../src/base/log.ts";
import { seededRandom, type Random } from "../../src/base/random.ts";
import type { Events } from "./events.ts";

const wallStartNanos = 1_700_000_000_000_000_000n;

export interface MachineOptions {
  readonly events: Events;
  /** Its address: stays the same over restarts. */
  readonly host: string;
  readonly seed: number;
  /** How far its wall clock is off. */
  readonly skewMillis: number;
}

export class Machine {
  readonly host: string;
  readonly events: Events;
  readonly random: Random;
  readonly clock: Clock;
  readonly log: Log;
  isAlive = true;
  /** What this process did wrong by its own account (lines at level error). */
  readonly errors: string[] = [];
  /** While it is stopped: what waits. */
  #waiting: (() => void)[] | undefined;

  constructor({ events, host, seed, skewMillis }: MachineOptions) {
    this.events = events;
    this.host = host;
    this.random = seededRandom(seed);
    this.clock = {
      monotonicMillis: () => events.now,
      wallNanos: () => wallStartNanos + BigInt(Math.round((events.now + skewMillis) * 1_000_000)),
      after: (millis, run) => {
        // A timer that was cancelled while the process was stopped does not run either.
        const state = { isCancelled: false };
        const scheduled = events.schedule(millis, () => {
          this.enter(() => {
            if (!state.isCancelled) run();
          });
        });
        return {
          cancel() {
            state.isCancelled = true;
            scheduled.cancel();
          },
        };
      },
    };
    this.log = this.#log({});
  }

  enter(run: () => void): void {
    if (!this.isAlive) return;
    if (this.#waiting === undefined) run();
    else this.#waiting.push(run);
  }

  get isStopped(): boolean {
    return this.#waiting !== undefined;
  }

  stop(): void {
    this.#waiting ??= [];
  }

  goOn(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const run of waiting) {
      this.events.schedule(0, () => {
        this.enter(run);
      });
    }
  }

  /** At once, for ever. */
  kill(): void {
    this.isAlive = false;
    this.#waiting = undefined;
  }

  #log(common: LogFields): Log {
    const line = (level: string) => (fields: LogFields, message: string) => {
      if (!this.isAlive) return;
      const text = `${this.host} ${level}: ${message} ${describe({ ...common, ...fields })}`;
      if (level === "error") this.errors.push(text);
      this.events.note(text);
    };
    return {
      debug: () => undefined,
      info: line("info"),
      warn: line("warn"),
      error: line("error"),
      debugging: false,
      child: (fields) => this.#log({ ...common, ...fields }),
    };
  }
}

function describe(fields: LogFields): string {
  return Object.entries(fields)
    .map(([name, value]) => `${name}=${value instanceof Error ? String(value) : JSON.stringify(value, asText)}`)
    .join(" ");
}

function asText(_name: string, value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  return value instanceof Error ? String(value) : value;
}

export function errorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return `${error.stack ?? String(error)}${error.cause === undefined ? "" : `\ncaused by ${errorText(error.cause)}`}`;
}
