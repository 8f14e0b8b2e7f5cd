/** Randomness, injected: a seed makes a whole run repeatable. */
import { randomBytes } from "node:crypto";

export interface Random {
  /** `count` random bytes, fresh. */
  bytes(count: number): Buffer;
  /** An integer from 0 to `bound` - 1. */
  below(bound: number): number;
}

export const systemRandom: Random = {
  bytes: (count) => randomBytes(count),
  below: (bound) => Math.floor((randomBytes(6).readUIntBE(0, 6) / 2 ** 48) * bound),
};

/** Deterministic (splitmix32): for tests and simulation, never for secrets. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x9e3779b9) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
  return {
    bytes(count) {
      const out = Buffer.allocUnsafe(count);
      for (let i = 0; i < count; i++) out[i] = next() & 0xff;
      return out;
    },
    below: (bound) => Math.floor(((next() * 2 ** 21 + (next() >>> 11)) / 2 ** 53) * bound),
  };
}

/** 16 hexadecimal digits: how sessions, nodes and clusters are named. */
export function randomId(random: Random): string {
  return random.bytes(8).toString("hex");
}
