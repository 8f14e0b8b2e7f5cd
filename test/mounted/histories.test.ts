/**
 * Linearizability: clients on five mounts do random operations on the same files and names, and what they recorded has an
 * order that explains every result (see test/histories). DFS_SEED=7 chooses other operations. A refused recording stays
 * in a folder that the message names.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { checkHistory } from "../histories/check-history.ts";
import { parseHistory, type Operation } from "../histories/history.ts";
import { startCluster, type Cluster } from "../support/cluster.ts";
import { eventually, isRunning, SecondMount } from "./acting.ts";

const client = fileURLToPath(new URL("../histories/client.ts", import.meta.url));
const seed = Number(process.env["DFS_SEED"] ?? "1");
const operationsPerKind = 5_000;
/** Until every client has started; far more than a busy machine needs. */
const readyMillis = 30_000;
/** Beyond the time of recording: a call that hangs for so long hangs for ever. */
const hungMillis = 45_000;

let cluster: Cluster;
let others: SecondMount[] = [];

test.before(async () => {
  cluster = await startCluster();
  others = ["second", "third", "fourth", "fifth"].map((name) => new SecondMount(cluster, name));
  // Files that were open before the second session came are another case: see SEMANTICS.md.
  for (const mount of others) await mount.mount();
});
test.after.always(async (t) => {
  try {
    // After a failure in the middle there may be no name server, and then unmounting waits for one.
    cluster.up();
  } catch (error) {
    t.log(String(error));
  }
  await Promise.all(others.map((mount) => mount.remove()));
  cluster.down();
});

interface Recording {
  readonly seconds: number;
  /** What happens to the cluster meanwhile, begun with the clients. */
  readonly meanwhile?: () => Promise<void>;
}

test.serial("five mounts: files, logs and names have one order", async (t) => {
  t.timeout(120_000);
  await record(t, "calm", { seconds: 10 });
});

test.serial("five mounts, the name server killed twice: still one order, and nothing fails", async (t) => {
  t.timeout(150_000);
  await record(t, "killed", {
    seconds: 12,
    meanwhile: async () => {
      for (const pause of [3_000, 3_500]) {
        await new Promise((resolve) => setTimeout(resolve, pause));
        const killed = cluster.pid("name");
        cluster.kill("name");
        await new Promise((resolve) => setTimeout(resolve, 500));
        await eventually("the killed name server is gone", () => !isRunning(killed));
        cluster.up();
      }
    },
  });
});

async function record(t: ExecutionContext, name: string, { seconds, meanwhile }: Recording): Promise<void> {
  const recordings = mkdtempSync(`/var/tmp/dfs-histories-${name}-`);
  const mounts = [cluster.mnt, ...others.map(({ mnt }) => mnt)];
  await within(readyMillis, start([join(cluster.mnt, name), "prepare"], "/dev/null").ended);
  const clients = mounts.map((mnt, i) => {
    const args = [join(mnt, name), String(seed + i), String(seconds), String(operationsPerKind)];
    return start(args, join(recordings, `${String(seed + i)}.jsonl`));
  });
  try {
    await Promise.all(clients.map(({ ready }) => ready));
    for (const { child } of clients) child.stdin?.end();
    await Promise.all([meanwhile?.(), ...clients.map(({ ended }) => within(seconds * 1000 + hungMillis, ended))]);
  } catch (error) {
    t.log(`recorded in ${recordings}; the name server's log ends:\n${cluster.log("name").slice(-1_500)}`);
    throw error;
  } finally {
    for (const { child } of clients) child.kill("SIGKILL");
  }
  const texts = clients.map((_, i) => readFileSync(join(recordings, `${String(seed + i)}.jsonl`), "utf8"));
  const history = parseHistory(texts);
  const verdicts = checkHistory(history);
  const reports = verdicts.flatMap(({ report }) => (report === "" ? [] : [report]));
  t.log(`${String(history.length)} operations, ${String(verdicts.length)} independent objects`);
  t.deepEqual(reports, [], `seed ${String(seed)}, recorded in ${recordings}:\n${reports.join("\n")}`);
  t.deepEqual(
    texts.flatMap((text) => text.split("\n").filter((line) => line.includes('"type":"failed"'))),
    [],
    `recorded in ${recordings}`,
  );
  t.true(overlapping(history) > 100, "hardly anything happened at the same time");
  rmSync(recordings, { recursive: true });
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
