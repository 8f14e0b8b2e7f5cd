/** A lock that all clients want: when who had it. It must never be two, unless one of them lost it with its session. */
import type { Life } from "./record.ts";

interface Holding {
  readonly life: Life;
  readonly process: number;
  readonly from: number;
  to: number;
}

export class LockWitness {
  readonly #holdings: Holding[] = [];

  /** Returns what is to be called when the lock is about to be given back. */
  taken(life: Life, process: number, step: number): (step: number) => void {
    const holding = { life, process, from: step, to: Infinity };
    this.#holdings.push(holding);
    return (at) => {
      holding.to = at;
    };
  }

  get count(): number {
    return this.#holdings.length;
  }

  problems(): string[] {
    // Of a life that ended, or lost its session, nobody knows until when it had the lock.
    const sure = this.#holdings.filter(({ life, from }) => !life.losses.some((step) => step >= from));
    const problems: string[] = [];
    sure.sort((a, b) => a.from - b.from);
    for (const [i, holding] of sure.entries()) {
      const next = sure[i + 1];
      if (next !== undefined && next.from < holding.to) {
        problems.push(
          `${nameOf(holding)} and ${nameOf(next)} had the lock at the same time (step ${String(next.from)})`,
        );
      }
    }
    return problems;
  }
}

function nameOf({ life, process }: Holding): string {
  return `process ${String(process)} on ${life.name}`;
}
