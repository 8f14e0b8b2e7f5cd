/**
 * Does random operations in a shared folder, one after the other by blocking system calls, and writes what it did to
 * standard output as JSON lines (see history.ts; times are CLOCK_MONOTONIC). One process per mount:
 *
 *   node --import=tsx test/histories/client.ts DIR SEED SECONDS OPERATIONS-PER-KIND [synced]
 *   node --import=tsx test/histories/client.ts DIR prepare        once before, on any mount
 *
 * SEED is the number of the process in the history too: each client needs its own. It ends after SECONDS, or when it has
 * done so many operations on registers, on logs and on names. `synced`: each change is done when it is durable. When it is ready it says so on standard error, and begins
 * at the end of its standard input.
 */
import { readSync, writeSync } from "node:fs";
import { seededRandom } from "../../src/base/random.ts";
import type { Action, Invocation, Result, Return } from "./history.ts";
import { Acting } from "./acting.ts";
import { Choosing, type Kind } from "./choosing.ts";
import { prepareFolder } from "./shared-folder.ts";

const [folder, seedText, seconds, perKind, how] = process.argv.slice(2);
if (folder === undefined || (seedText !== "prepare" && perKind === undefined)) {
  console.error("usage: client.ts DIR SEED SECONDS OPERATIONS-PER-KIND [synced] | client.ts DIR prepare");
  process.exit(2);
}
if (seedText === "prepare") prepareFolder(folder);
else {
  const synced = how === "synced";
  record(folder, { seed: Number(seedText), seconds: Number(seconds), perKind: Number(perKind), synced });
}

interface Options {
  readonly seed: number;
  readonly seconds: number;
  readonly perKind: number;
  readonly synced: boolean;
}

function record(shared: string, options: Options): void {
  const random = seededRandom(options.seed);
  const acting = new Acting(shared, random, options);
  const choosing = new Choosing(random, { process: options.seed, linked: acting.linkedInodes() });
  writeSync(2, "ready\n");
  // Blocks until whoever started it closes the other end.
  readSync(0, Buffer.alloc(1));
  const end = now() + options.seconds * 1e9;
  const left = new Map<Kind, number>((["register", "log", "names"] as const).map((kind) => [kind, options.perKind]));
  for (let operation = 0; now() < end; operation++) {
    const kinds = [...left].flatMap(([kind, count]) => (count > 0 ? [kind] : []));
    const kind = kinds[random.below(kinds.length)];
    if (kind === undefined) break;
    left.set(kind, (left.get(kind) ?? 0) - 1);
    const action = choosing.next(kind, options.seconds - (end - now()) / 1e9);
    const result = recorded({ process: options.seed, operation, action }, () => acting.act(action));
    choosing.learn(action, result);
    if (result.type === "failed") pause();
  }
}

function recorded(what: { process: number; operation: number; action: Action }, act: () => Result): Result {
  const { process: number, operation, action } = what;
  say({ process: number, operation, invoked: now(), action });
  const result = act();
  say({ process: number, operation, returned: now(), result });
  return result;
}

/** At once, not through a stream: what was begun must be known when the process is killed. */
function say(line: Invocation | Return): void {
  const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
  for (let written = 0; written < bytes.length;) written += writeSync(1, bytes, written);
}

/** What failed may have happened or not: more than a few of those, and any history can be explained. */
function pause(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
}

/** Nanoseconds. Rounding (after 104 days) keeps the order. */
function now(): number {
  return Number(process.hrtime.bigint());
}
