/** Runs seeds of the differential test in a process of their own: it acts on mounts, which may hang. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const runner = fileURLToPath(new URL("run.ts", import.meta.url));
/** Far more than a step takes under any load; what hangs for so long hangs for ever. */
const silentMillis = 60_000;

export interface SeedResult {
  readonly seed: number;
  readonly kinds: Record<string, number>;
  readonly error: string | null;
}

export interface SeedsToRun {
  readonly local: string;
  /** One or more mount points of one cluster. */
  readonly mounts: readonly string[];
  readonly first: number;
  readonly last: number;
  readonly steps: string;
  /** Commands that mount anew what `mounts` has. */
  readonly remount: readonly (readonly string[])[];
}

export function runSeeds({ local, mounts, first, last, steps, remount }: SeedsToRun): Promise<SeedResult[]> {
  const args = [runner, local, mounts.join(","), `${String(first)}-${String(last)}`, steps, JSON.stringify(remount)];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [`--import=${import.meta.resolve("tsx")}`, ...args], {
      stdio: ["ignore", "pipe", "inherit"],
      cwd: "/",
    });
    const results: SeedResult[] = [];
    const timer = setTimeout(() => child.kill("SIGKILL"), silentMillis);
    createInterface({ input: child.stdout }).on("line", (line) => {
      timer.refresh();
      results.push(JSON.parse(line) as SeedResult);
    });
    child.on("error", reject);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      const next = first + results.length;
      if (code === 0) resolve(results);
      else reject(new Error(`seed ${String(next)}: the runner ended with ${String(code ?? signal)}`));
    });
  });
}
