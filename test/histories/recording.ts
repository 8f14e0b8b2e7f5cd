/**
 * Records what clients on several mounts do at once (client.ts), and checks it. A refused recording stays in a folder
 * that the message names.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ExecutionContext } from "ava";
import { checkHistory } from "./check-history.ts";
import { failuresIn, parseHistory, type Operation } from "./history.ts";

const client = fileURLToPath(new URL("./client.ts", import.meta.url));
/** DFS_SEED=7 chooses other operations. The client on the first mount is the process of this number, and so on. */
export const seed = Number(process.env["DFS_SEED"] ?? "1");
const operationsPerKind = 5_000;
/** Until every client has started; far more than a busy machine needs. */
const readyMillis = 30_000;
/** Beyond the time of recording: a call that hangs for so long hangs for ever. */
const hungMillis = 45_000;
/** What failed may have happened or not: a history with many of those explains anything. */
const failuresMax = 40;

export interface Recording {
  /** Of the folder that is used on the mounts. */
  readonly name: string;
  readonly mounts: readonly string[];
  readonly seconds: number;
  /** What happens to the cluster meanwhile, begun with the clients. */
  readonly meanwhile?: () => Promise<void>;
  /**
   * Mounts on which operations may fail, because that client loses its session. What did not fail counts: there a change
   * is done when it is durable, since what a client had not sent when it lost its session is lost.
   */
  readonly mayFail?: readonly string[];
  /** For the message of a failure. */
  readonly explain: () => string;
}

export interface Recorded {
  readonly history: readonly Operation[];
  /** Of that mount's client, what has a result. */
  on(mount: string): readonly Operation[];
}

/** Passes if there is an order that explains every result, and nothing failed where nothing may. */
export async function record(t: ExecutionContext, recording: Recording): Promise<Recorded> {
  const { name, mounts, mayFail = [] } = recording;
  const recordings = mkdtempSync(`/var/tmp/dfs-histories-${name}-`);
  const texts = await recordTexts(t, recording, recordings);
  const history = parseHistory(texts);
  const verdicts = checkHistory(history);
  const reports = verdicts.flatMap(({ report }) => (report === "" ? [] : [report]));
  t.log(`${String(history.length)} operations, ${String(verdicts.length)} independent objects`);
  t.deepEqual(reports, [], `seed ${String(seed)}, recorded in ${recordings}:\n${reports.join("\n")}`);
  for (const [i, mount] of mounts.entries()) {
    const failures = failuresIn(texts[i] ?? "");
    if (!mayFail.includes(mount)) t.deepEqual(failures, [], `${mount}, recorded in ${recordings}`);
    else t.log(`${mount}: ${String(failures.length)} failed (${[...new Set(failures)].join(", ")})`);
    t.true(failures.length <= failuresMax, `${String(failures.length)} operations failed on ${mount}`);
  }
  t.true(overlapping(history) > 100, "hardly anything happened at the same time");
  rmSync(recordings, { recursive: true });
  return {
    history,
    on(mount) {
      const number = seed + mounts.indexOf(mount);
      return history.filter(({ process: who, result }) => who === number && result !== undefined);
    },
  };
}

async function recordTexts(
  t: ExecutionContext,
  { name, mounts, seconds, meanwhile, explain, mayFail = [] }: Recording,
  recordings: string,
): Promise<string[]> {
  const [first = ""] = mounts;
  await within(readyMillis, start([join(first, name), "prepare"], "/dev/null").ended);
  const files = mounts.map((_, i) => join(recordings, `${String(seed + i)}.jsonl`));
  const clients = mounts.map((mnt, i) => {
    const args = [join(mnt, name), String(seed + i), String(seconds), String(operationsPerKind)];
    return start([...args, ...(mayFail.includes(mnt) ? ["synced"] : [])], files[i] ?? "");
  });
  try {
    await Promise.all(clients.map(({ ready }) => ready));
    for (const { child } of clients) child.stdin?.end();
    await Promise.all([meanwhile?.(), ...clients.map(({ ended }) => within(seconds * 1000 + hungMillis, ended))]);
  } catch (error) {
    t.log(`recorded in ${recordings}; ${explain()}`);
    throw error;
  } finally {
    for (const { child } of clients) child.kill("SIGKILL");
  }
  return files.map((file) => readFileSync(file, "utf8"));
}

interface Client {
  readonly child: ChildProcess;
  readonly ready: Promise<void>;
  /** Rejects unless it ended well. */
  readonly ended: Promise<void>;
}

function start(args: readonly string[], output: string): Client {
  const fd = openSync(output, "w");
  const child = spawn(process.execPath, [`--import=${import.meta.resolve("tsx")}`, client, ...args], {
    cwd: "/",
    stdio: ["pipe", fd, "pipe"],
  });
  closeSync(fd);
  let said = "";
  const ended = new Promise<void>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(`a client ended with ${String(code ?? signal)}: ${said}`));
    });
  });
  const isReady = new Promise<void>((resolve) => {
    child.stderr?.on("data", (data: Buffer) => {
      said += data.toString();
      if (said.includes("ready\n")) resolve();
    });
  });
  return { child, ready: within(readyMillis, Promise.race([isReady, ended])), ended };
}

async function within(millis: number, promise: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`a client did not answer within ${String(millis / 1000)} s`)), millis);
  });
  try {
    await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** How many operations began while one of another process was going on. */
function overlapping(history: readonly Operation[]): number {
  const ordered = [...history].sort((a, b) => a.invoked - b.invoked);
  return ordered.filter((operation, i) => (ordered[i - 1]?.returned ?? 0) > operation.invoked).length;
}
