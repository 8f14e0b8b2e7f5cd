/**
 * Linearizability: clients on five mounts do random operations on the same files and names, and what they recorded has an
 * order that explains every result (see test/histories); also while servers and clients are killed and stopped.
 * DFS_STOP_SECONDS=45 stops the name server for longer. Links that are cut: histories-cut.test.ts.
 */
import test from "ava";
import { limits } from "../../src/base/limits.ts";
import { record, type Recorded } from "../histories/recording.ts";
import { startCluster, type Cluster } from "../support/cluster.ts";
import { freezeDriver } from "../support/driver-process.ts";
import { eventually, isRunning, SecondMount } from "./acting.ts";
import { LockWitness } from "./lock-witness.ts";

const stopSeconds = Number(process.env["DFS_STOP_SECONDS"] ?? "12");
/** Longer than a session lives without a sign of life, and than the server may take to notice. */
const beyondTtlMillis = limits.sessionTtlMillis + 6_000;

let cluster: Cluster;
let others: SecondMount[] = [];
const mounts = (): string[] => [cluster.mnt, ...others.map(({ mnt }) => mnt)];
const explain = (): string => `the name server's log ends:\n${cluster.log("name").slice(-1_500)}`;
const sessions = (): string[] =>
  cluster
    .status()
    .sessions.map(({ id }) => id)
    .sort();

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

test.serial("five mounts: files, logs and names have one order", async (t) => {
  t.timeout(120_000);
  await record(t, { name: "calm", mounts: mounts(), seconds: 10, explain });
});

test.serial("five mounts, the name server killed twice: still one order, and nothing fails", async (t) => {
  t.timeout(150_000);
  await record(t, {
    name: "killed",
    mounts: mounts(),
    seconds: 12,
    explain,
    meanwhile: async () => {
      for (const pause of [3_000, 3_500]) {
        await millis(pause);
        await restartNameServer();
      }
    },
  });
});

test.serial("the name server stopped and continued: still one order, nothing fails, no session is lost", async (t) => {
  t.timeout((stopSeconds + 150) * 1_000);
  const before = sessions();
  await record(t, {
    name: "stopped",
    mounts: mounts(),
    seconds: stopSeconds + 12,
    explain,
    meanwhile: async () => {
      await millis(4_000);
      cluster.kill("name", "SIGSTOP");
      try {
        await millis(stopSeconds * 1_000);
      } finally {
        cluster.kill("name", "SIGCONT");
      }
    },
  });
  t.deepEqual(sessions(), before);
});

test.serial(
  "a client frozen past its time, the name server killed before it is back: one order, and one holder of a lock",
  async (t) => {
    t.timeout(240_000);
    const [frozen, ...alive] = mounts() as [string, ...string[]];
    const witnesses: LockWitness[] = [];
    const witness = (mount: string, options: { wait: boolean }): LockWitness => {
      const one = new LockWitness(`${mount}/witnessed`, options);
      witnesses.push(one);
      return one;
    };
    /** When the frozen client's session was over, and it still did not run. */
    const without = { from: 0, to: 0 };
    try {
      const holder = witness(frozen, { wait: true });
      t.true(await holder.got(20));
      const recorded = await record(t, {
        name: "frozen",
        mounts: mounts(),
        seconds: beyondTtlMillis / 1_000 + 22,
        explain,
        mayFail: [frozen],
        meanwhile: async () => {
          await millis(3_000);
          const driver = freezeDriver(frozen);
          try {
            const next = witness(alive[0] ?? "", { wait: true });
            t.true(await next.got(beyondTtlMillis / 1_000), "the lock of a frozen client was not given on");
            await restartNameServer();
            t.false(await witness(alive[1] ?? "", { wait: false }).got(30), "the server gave the lock twice");
            t.true(await next.write("the next one"));
            without.from = now();
            await millis(8_000);
            without.to = now();
          } finally {
            driver.thaw();
          }
          t.false(await holder.write("who had lost its lock"), "a write under a lost lock was taken");
          t.false(await witness(frozen, { wait: false }).got(30), "the lock was given twice");
          // By now there is a new session, under which the descriptor may not come to life again.
          t.false(await holder.write("who has no lock"), "a write under a lost lock was taken later");
        },
      });
      othersWentOn(t, recorded, { mounts: alive, ...without });
      t.true(
        recorded.on(frozen).some(({ invoked }) => invoked > without.to),
        "the frozen client never came back",
      );
      for (const one of witnesses) one.end();
      t.true(await witness(frozen, { wait: true }).got(30), "a lock is free when its holder has ended");
      t.is(await cluster.sh("cat witnessed", { cwd: frozen, seconds: 20 }), "the next one\n");
    } finally {
      for (const one of witnesses) one.end();
    }
  },
);

async function restartNameServer(): Promise<void> {
  const killed = cluster.pid("name");
  cluster.kill("name");
  await millis(500);
  await eventually("the killed name server is gone", () => !isRunning(killed));
  cluster.up();
}

function othersWentOn(
  t: { true(value: boolean, message: string): boolean },
  recorded: Recorded,
  { mounts: alive, from, to }: { mounts: readonly string[]; from: number; to: number },
): void {
  for (const mount of alive) {
    const meanwhile = recorded.on(mount).filter(({ invoked, returned }) => invoked > from && returned < to);
    t.true(meanwhile.length > 10, `${mount} did only ${String(meanwhile.length)} operations while another was gone`);
  }
}

/** On the clock of the histories. */
function now(): number {
  return Number(process.hrtime.bigint());
}

function millis(count: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, count));
}
