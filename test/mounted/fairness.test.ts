/** Two mounts fight over one directory, one file, one lock: both get on, neither starves the other. */
import test from "ava";
import type { Actor } from "./actor.ts";
import { SeveralMounts } from "./several-mounts.ts";

const millis = Number(process.env["DFS_FIGHT_MILLIS"] ?? "5000");
/** Of what both have done. */
const leastShare = 0.25;
/** On a machine that does much else. */
const leastRounds = 20;

let mounts: SeveralMounts;
test.before(async () => {
  mounts = await SeveralMounts.start(2);
});
test.after.always(() => mounts.close());

interface Fight {
  readonly path: string;
  readonly name: string;
  /** When both begin. */
  readonly start: bigint;
}

const fights = {
  "one directory, by creating and removing files in it": (actor, { path, name, start }) =>
    actor.callWithin(60, "createAndUnlink", `${path}/folder`, { name, start, millis }),
  "one file, by appending and reading": (actor, { path, name, start }) =>
    actor.callWithin(60, "appendAndRead", `${path}/log`, { name, start, millis }),
  "one fcntl lock": (actor, { path, start }) =>
    actor.callWithin(60, "lockAndUnlock", `${path}/counter`, { kind: "fcntl", start, millis }),
  "one flock": (actor, { path, start }) =>
    actor.callWithin(60, "lockAndUnlock", `${path}/counter`, { kind: "flock", start, millis }),
} satisfies Record<string, (actor: Actor, fight: Fight) => Promise<number>>;

for (const [what, fight] of Object.entries(fights)) {
  test.serial(`two mounts fight over ${what}, and each gets at least a quarter`, async (t) => {
    t.timeout(90_000 + millis);
    await mounts.withActors(2, async (...actors) => {
      const [first] = actors as [Actor, Actor];
      const [path = ""] = mounts.folders;
      await first.call("mkdir", `${path}/folder`).catch(() => undefined);
      await first.call("writeWhole", `${path}/log`, "");
      await first.call("writeWhole", `${path}/counter`, "0".padStart(12));
      const start = process.hrtime.bigint() + 100_000_000n;
      const counts = await Promise.all(
        actors.map((actor, i) => fight(actor, { path: mounts.folders[i] ?? "", name: `side-${String(i)}`, start })),
      );
      const sum = counts.reduce((a, b) => a + b);
      t.log(counts.map((count) => `${String(Math.round(count / (millis / 1_000)))}/s`).join(" and "));
      t.true(Math.min(...counts) >= sum * leastShare, `${counts.join(" and ")} in ${String(millis)} ms`);
      t.true(sum >= leastRounds, `hardly anything was done: ${counts.join(" and ")} in ${String(millis)} ms`);
      if (what.includes("lock")) {
        t.is(Number(String(await first.call("readWhole", `${path}/counter`))), sum, "counted under the lock");
      }
      t.deepEqual(await first.call("list", `${path}/folder`), []);
    });
  });
}

test.serial("no log has an error after all of that", (t) => {
  t.deepEqual(mounts.errors(), []);
});
