/**
 * What a check has to say, on its way to whoever asked for it. Bounded: a check waits when nobody takes it, and ends when
 * nobody has asked for long.
 */
import type { Clock, Timer } from "../../base/clock.ts";
import { FsError } from "../../base/errno.ts";
import { limits } from "../../base/limits.ts";
import type { Found, FsckSummary } from "../../protocol/check-methods.ts";

/** A question is answered after so long at the latest. */
const answerMillis = 1_000;
/** Things in one answer; each is cut to so many characters. */
const batchMax = 64;
const charactersMax = 2_000;
const pathsMax = 16;

export class Outlet {
  readonly #clock: Clock;
  readonly #stop: (reason: FsError) => void;
  readonly #found: Found[] = [];
  #stage = "";
  #end: FsckSummary | undefined;
  #failure: FsError | undefined;
  #idle: Timer | undefined;
  /** Who waits for something to be said, and who waits for it to be taken. */
  #asking: (() => void) | undefined;
  #full: (() => void) | undefined;

  constructor(clock: Clock, stop: (reason: FsError) => void) {
    this.#clock = clock;
    this.#stop = stop;
    this.#watch();
  }

  /** To be awaited if it returns a promise. */
  say(found: Found): Promise<void> | undefined {
    this.#found.push({
      state: found.state,
      paths: found.paths.slice(0, pathsMax).map(short),
      text: short(found.text),
    });
    this.#asking?.();
    if (this.#found.length < limits.fsckQueueMax) return undefined;
    return new Promise((resolve) => {
      this.#full = resolve;
    });
  }

  stage(text: string): void {
    this.#stage = text;
    this.#asking?.();
  }

  end(summary: FsckSummary): void {
    this.#end = summary;
    this.#asking?.();
  }

  /** What is asked afterwards is refused with this. */
  fail(error: FsError): void {
    this.#failure ??= error;
    this.#asking?.();
    this.#full?.();
  }

  async next(): Promise<{ found: Found[]; stage: string; end: FsckSummary | null }> {
    this.#watch();
    const stage = this.#stage;
    if (this.#found.length === 0 && this.#end === undefined && this.#failure === undefined)
      await this.#something(stage);
    const found = this.#found.splice(0, batchMax);
    if (found.length === 0 && this.#failure !== undefined) throw this.#failure;
    this.#full?.();
    this.#full = undefined;
    return { found, stage: this.#stage, end: this.#found.length === 0 ? (this.#end ?? null) : null };
  }

  close(): void {
    this.#idle?.cancel();
  }

  #something(stage: string): Promise<void> {
    return new Promise<void>((resolve) => {
      const timer = this.#clock.after(answerMillis, () => {
        resolve();
      });
      this.#asking = () => {
        if (this.#found.length === 0 && this.#stage === stage && this.#end === undefined && this.#failure === undefined)
          return;
        timer.cancel();
        resolve();
      };
    }).then(() => {
      this.#asking = undefined;
    });
  }

  #watch(): void {
    this.#idle?.cancel();
    this.#idle = this.#clock.after(
      limits.fsckIdleMillis,
      () => {
        this.#stop(new FsError("ECANCELED", "nobody asks any more what the check has found"));
      },
      { unref: true },
    );
  }
}

function short(text: string): string {
  return text.length <= charactersMax ? text : `${text.slice(0, charactersMax)}...`;
}
