/**
 * The kill matrix: who is hit x how, and what exactly a round does, all from the round's seed. A cell says whether programs
 * may see errors: only where the client itself is hit.
 */
import { seededRandom } from "../../../src/base/random.ts";

export const targets = ["name", "storage-1", "storage-2", "storage-3", "driver", "all"] as const;
export const faults = ["kill", "restart-at-once", "restart-late", "stop"] as const;

export type Target = (typeof targets)[number];
export type Fault = (typeof faults)[number];

export interface Round {
  readonly seed: number;
  readonly target: Target;
  readonly fault: Fault;
  /** From the moment that every program works until the fault. */
  readonly beforeMillis: number;
  /** How long it is stopped, or dead. The driver's supervisor does not wait for it. */
  readonly awayMillis: number;
  /** Whether programs may see errors. */
  readonly strict: boolean;
}

/** How long "stopped" lasts: longer than a session lives, or for the short set long enough that a node counts as down. */
const stopMillis = { long: 45_000, short: 18_000 };

/** A round's cell comes from its seed: 24 successive seeds go through all of them. */
export function roundOf(seed: number): Round {
  const target = targets[seed % targets.length] as Target;
  const fault = faults[Math.floor(seed / targets.length) % faults.length] as Fault;
  return roundIn(seed, target, fault, stopMillis.long);
}

/** What CI has time for. */
export const shortSet: readonly Round[] = [
  ...targets.map((target, i) => roundIn(i + 1, target, "kill", 0)),
  roundIn(7, "all", "restart-at-once", 0),
  roundIn(8, "storage-2", "stop", stopMillis.short),
];

function roundIn(seed: number, target: Target, fault: Fault, stopped: number): Round {
  const random = seededRandom(seed);
  const beforeMillis = random.below(2_500);
  const late = 15_000 + random.below(25_000);
  const soon = random.below(3_000);
  const away = { kill: soon, "restart-at-once": 0, "restart-late": late, stop: stopped }[fault];
  return { seed, target, fault, beforeMillis, awayMillis: away, strict: target !== "driver" && target !== "all" };
}

export function cellOf({ target, fault }: Round): string {
  return `${target}/${fault}`;
}
