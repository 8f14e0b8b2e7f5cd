/**
 * Linearizability with a real network between the machines, of which one link is cut for longer than a session lives: the
 * others go on, and what the lonely one says was done was done. The machines are network namespaces.
 */
import test from "ava";
import { limits } from "../../src/base/limits.ts";
import { record } from "../histories/recording.ts";
import { startHosts, type Hosts } from "../support/hosts.ts";
import { cannotBuildNetworks } from "../support/network.ts";
import { LockWitness } from "./lock-witness.ts";

const beyondTtlMillis = limits.sessionTtlMillis + 6_000;
const possible = cannotBuildNetworks === undefined ? test.serial : test.skip;
if (cannotBuildNetworks !== undefined) test(`cut links are left out: ${cannotBuildNetworks}`, (t) => void t.pass());

let cluster: Hosts | undefined;

test.before(async (t) => {
  t.timeout(120_000);
  if (cannotBuildNetworks === undefined) cluster = await startHosts(4);
});
test.after.always(async (t) => {
  t.timeout(120_000);
  await cluster?.down();
});

possible("a link cut for longer than a session lives: one order, and one holder of a lock", async (t) => {
  t.timeout(240_000);
  if (cluster === undefined) throw new Error("there is no cluster");
  const { hosts } = cluster;
  const mounts = hosts.map(({ mnt }) => mnt);
  const [lonely, ...others] = mounts as [string, ...string[]];
  const link = hosts[0]?.machine;
  const witnesses: LockWitness[] = [];
  const witness = (mount: string, options: { wait: boolean }): LockWitness => {
    const one = new LockWitness(`${mount}/witnessed`, options);
    witnesses.push(one);
    return one;
  };
  const before = cluster.status().sessions.map(({ id }) => id);
  const without = { from: 0, to: 0 };
  try {
    const holder = witness(lonely, { wait: true });
    t.true(await holder.got(20));
    const recorded = await record(t, {
      name: "cut",
      mounts,
      seconds: beyondTtlMillis / 1_000 + 25,
      mayFail: [lonely],
      explain: () => `the name server's log ends:\n${cluster?.log().slice(-1_500) ?? ""}`,
      meanwhile: async () => {
        await millis(3_000);
        link?.cut();
        try {
          const next = witness(others[0] ?? "", { wait: true });
          t.true(await next.got(beyondTtlMillis / 1_000), "the lock of a client that was cut off was not given on");
          t.true(await next.write("the next one"));
          without.from = now();
          await millis(6_000);
          without.to = now();
        } finally {
          link?.reconnect();
        }
        t.false(await holder.write("who had lost its lock", 60), "a write under a lost lock was taken");
        t.false(await witness(lonely, { wait: false }).got(30), "the lock was given twice");
        // By now there is a new session, under which the descriptor may not come to life again.
        t.false(await holder.write("who has no lock"), "a write under a lost lock was taken later");
      },
    });
    for (const mount of others) {
      const meanwhile = recorded.on(mount).filter((one) => one.invoked > without.from && one.returned < without.to);
      t.true(meanwhile.length > 10, `${mount} did only ${String(meanwhile.length)} operations while another was gone`);
    }
    t.true(
      recorded.on(lonely).some(({ invoked }) => invoked > without.to),
      "the client that was cut off never came back",
    );
    const after = cluster.status().sessions.map(({ id }) => id);
    t.is(before.filter((id) => after.includes(id)).length, others.length, "the others kept their sessions");
  } finally {
    for (const one of witnesses) one.end();
  }
});

/** On the clock of the histories. */
function now(): number {
  return Number(process.hrtime.bigint());
}

function millis(count: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, count));
}
