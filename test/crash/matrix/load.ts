/** The programs of a round: child processes that work in a folder of the mount and note outside of it what is durable. */
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { shell } from "../../support/cluster.ts";

export const programs = ["writer", "sqlite", "git", "tar"] as const;

const script = fileURLToPath(new URL("load.py", import.meta.url));

export interface Load {
  /** Resolves when each program has done so many units more. Rejects when one has ended, or has not within the time. */
  progress(units: number, seconds: number): Promise<void>;
  /** Lets them end after their present unit. */
  stop(seconds: number): Promise<void>;
  /** Compares what is there with what was noted; says how much that is. */
  verify(): Promise<string>;
  /** Ends what still runs, forgets the notes. */
  remove(): void;
}

/**
 * @param folder in the mount; it is made here
 * @param beside a folder outside of it, for the notes
 */
export async function startLoad(
  folder: string,
  beside: string,
  { seed, strict }: { seed: number; strict: boolean },
): Promise<Load> {
  const notes = mkdtempSync(join(beside, "notes-"));
  await python(
    ["-c", "import os,sys\nfor p in sys.argv[1:]: os.makedirs(p)", ...programs.map((p) => join(folder, p))],
    60,
  );
  // Else a killed client would take the folders along.
  await shell(`sync "${folder}" ${programs.map((p) => `"${join(folder, p)}"`).join(" ")}`, { seconds: 60, cwd: "/" });
  const running = programs.map((program) =>
    start(["run", program, join(folder, program), notes, String(seed), strict ? "strict" : "lenient"]),
  );
  const units = (program: string): number => {
    const path = join(notes, `${program}.units`);
    return existsSync(path) ? readFileSync(path, "utf8").split("\n").length - 1 : 0;
  };
  const failed = (): string | undefined => running.map(({ problem }) => problem()).find((text) => text !== undefined);
  return {
    async progress(more, seconds) {
      const wanted = programs.map((program) => ({ program, least: units(program) + more }));
      await until(seconds, () => {
        const problem = failed();
        if (problem !== undefined) throw new Error(problem);
        const slow = wanted.filter(({ program, least }) => units(program) < least);
        return slow.length === 0 ? undefined : `${slow.map(({ program }) => program).join(", ")} does not get on`;
      });
    },
    async stop(seconds) {
      writeFileSync(join(notes, "stop"), "");
      await until(seconds, () => (running.every(({ ended }) => ended()) ? undefined : "a program does not end"));
      const problem = failed();
      if (problem !== undefined) throw new Error(problem);
    },
    async verify() {
      const found: string[] = [];
      for (const program of programs) {
        found.push((await python([script, "verify", program, join(folder, program), notes], 120)).trim());
      }
      return found.join(", ");
    },
    remove() {
      for (const { end } of running) end();
      rmSync(notes, { recursive: true, force: true });
    },
  };
}

interface Running {
  readonly ended: () => boolean;
  /** Undefined while it runs, and when it has ended well. */
  readonly problem: () => string | undefined;
  readonly end: () => void;
}

function start(args: readonly string[]): Running {
  const child: ChildProcess = spawn("python3", [script, ...args], {
    cwd: "/",
    detached: true,
    stdio: ["ignore", "ignore", "pipe"],
  });
  let text = "";
  child.stderr?.on("data", (data: Buffer) => (text += data.toString()));
  const ended = (): boolean => child.exitCode !== null || child.signalCode !== null;
  return {
    ended,
    problem: () =>
      ended() && child.exitCode !== 0
        ? `${String(args[1])} failed: ${text.slice(-1_500)} ${String(child.signalCode)}`
        : undefined,
    end() {
      if (ended() || child.pid === undefined) return;
      try {
        process.kill(-child.pid, "SIGKILL");
      } catch {
        // It has ended by itself.
      }
    },
  };
}

function python(args: readonly string[], seconds: number): Promise<string> {
  const words = args.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
  return shell(`python3 ${words}`, { seconds, cwd: "/" });
}

async function until(seconds: number, problem: () => string | undefined): Promise<void> {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    const left = problem();
    if (left === undefined) return;
    if (performance.now() > end) throw new Error(`not after ${String(seconds)} s: ${left}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
