/** Several mounts do the same thing at the same moment: appends lose nothing, and of what only one can have, one gets it. */
import test, { type ExecutionContext } from "ava";
import { O, RENAME } from "../conformance/libc/constants.ts";
import { errnoOf, type Actor } from "./actor.ts";
import { recordOf } from "./contests.ts";
import { SeveralMounts } from "./several-mounts.ts";

const aheadNanos = 1_000_000n;
const recordsPerWriter = 300;
const creations = 200;
/** By which one of them made a file; the umask leaves them as they are. */
const modes = [0o600, 0o640, 0o700] as const;

let mounts: SeveralMounts;
test.before(async () => {
  mounts = await SeveralMounts.start(3);
});
test.after.always(() => mounts.close());

type Call = Parameters<typeof Actor.prototype.call<"at">> extends [unknown, unknown, ...infer Rest] ? Rest : never;

/** Each actor does its call at the same moment. The errnos, in order: "" is success. */
async function collide(actors: readonly Actor[], call: (index: number) => Call): Promise<string[]> {
  const moment = process.hrtime.bigint() + aheadNanos;
  return await Promise.all(actors.map(async (actor, i) => (await errnoOf(actor.call("at", moment, ...call(i)))) ?? ""));
}

function oneWins(t: ExecutionContext, outcomes: readonly string[], errno: string, what: string): number {
  t.deepEqual([...outcomes].sort(), ["", ...outcomes.slice(1).map(() => errno)], what);
  return outcomes.indexOf("");
}

test.serial("records appended from three mounts are all there, whole and in the order of each writer", async (t) => {
  t.timeout(120_000);
  await mounts.withActors(3, async (...actors) => {
    const paths = mounts.everywhere("appended");
    await Promise.all(
      actors.map((actor, i) =>
        actor.callWithin(90, "appendRecords", paths[i] as string, { writer: i, count: recordsPerWriter }),
      ),
    );
    for (const [i, actor] of actors.entries()) {
      const lines = String(await actor.call("readWhole", paths[i] as string)).split(/(?<=\n)/);
      for (const writer of actors.keys()) {
        const own = lines.filter((line) => line.startsWith(`${String(writer)} `));
        t.deepEqual(
          own,
          Array.from({ length: recordsPerWriter }, (_, number) => recordOf(writer, number)),
        );
      }
      t.is(lines.length, actors.length * recordsPerWriter, "nothing else is in the file");
    }
  });
});

test.serial("of three mounts that make a name with O_EXCL one wins, and its file is what all see", async (t) => {
  t.timeout(120_000);
  await mounts.withActors(3, async (...actors) => {
    for (let race = 0; race < creations; race++) {
      const paths = mounts.everywhere(`exclusive-${String(race)}`);
      const outcomes = await collide(actors, (i) => [
        "open",
        paths[i],
        O.CREAT | O.EXCL | O.WRONLY,
        modes[i as 0 | 1 | 2],
      ]);
      const winner = oneWins(t, outcomes, "EEXIST", `race ${String(race)}`);
      for (const [i, actor] of actors.entries()) {
        t.is((await actor.call("stat", paths[i] as string)).mode & 0o777, modes[winner as 0 | 1 | 2]);
      }
    }
  });
});

test.serial("of three mounts that make a directory, a symlink or a link of one name one wins", async (t) => {
  t.timeout(120_000);
  await mounts.withActors(3, async (...actors) => {
    const sources = mounts.everywhere("to link");
    await (actors[0] as Actor).call("writeWhole", sources[0] as string, "x");
    for (let race = 0; race < 90; race++) {
      const paths = mounts.everywhere(`made-${String(race)}`);
      const calls: ((i: number) => Call)[] = [
        (i) => ["mkdir", paths[i]],
        (i) => ["symlink", `by ${String(i)}`, paths[i]],
        (i) => ["link", sources[i], paths[i]],
      ];
      oneWins(t, await collide(actors, calls[race % 3] as (i: number) => Call), "EEXIST", `race ${String(race)}`);
    }
    const { nlink } = await (actors[1] as Actor).call("stat", sources[1] as string);
    t.is(nlink, 1 + 30, "a link that was refused does not count");
  });
});

test.serial("of three mounts that rename one file, each elsewhere, one wins", async (t) => {
  t.timeout(120_000);
  await mounts.withActors(3, async (...actors) => {
    for (let race = 0; race < 60; race++) {
      const from = mounts.everywhere(`from-${String(race)}`);
      await (actors[race % 3] as Actor).call("writeWhole", from[race % 3] as string, String(race), O.EXCL);
      const targets = [0, 1, 2].map((i) => mounts.everywhere(`to-${String(race)}-${String(i)}`));
      const outcomes = await collide(actors, (i) => ["rename", from[i], targets[i]?.[i]]);
      const winner = oneWins(t, outcomes, "ENOENT", `race ${String(race)}`);
      for (const [i, actor] of actors.entries()) {
        t.is(String(await actor.call("readWhole", targets[winner]?.[i] as string)), String(race));
        t.is(await errnoOf(actor.call("stat", from[i] as string)), "ENOENT");
      }
    }
  });
});

test.serial(
  "of three mounts that rename files onto one name all succeed, and all see the same one there",
  async (t) => {
    t.timeout(120_000);
    await mounts.withActors(3, async (...actors) => {
      for (let race = 0; race < 60; race++) {
        const [isRefusing, to] = [race % 2 === 1, mounts.everywhere(`target-${String(race)}`)];
        const sources = [0, 1, 2].map((i) => mounts.everywhere(`source-${String(race)}-${String(i)}`));
        for (const [i, actor] of actors.entries()) {
          await actor.call("writeWhole", sources[i]?.[i] as string, `of ${String(i)}`, O.EXCL);
        }
        const outcomes = await collide(actors, (i) => [
          "renameat2",
          sources[i]?.[i],
          to[i],
          isRefusing ? RENAME.NOREPLACE : 0,
        ]);
        const seen = await Promise.all(
          actors.map(async (actor, i) => String(await actor.call("readWhole", to[i] as string))),
        );
        t.is(new Set(seen).size, 1, `race ${String(race)}: ${seen.join()}`);
        if (isRefusing) t.is(seen[0], `of ${String(oneWins(t, outcomes, "EEXIST", `race ${String(race)}`))}`);
        else t.deepEqual(outcomes, ["", "", ""]);
        for (const [i, actor] of actors.entries()) {
          const next = (i + 1) % 3;
          const isLeft = outcomes[next] !== "";
          t.is(await errnoOf(actor.call("stat", sources[next]?.[i] as string)), isLeft ? undefined : "ENOENT");
        }
      }
    });
  },
);

test.serial("of three mounts that remove one file or directory one does it", async (t) => {
  t.timeout(120_000);
  await mounts.withActors(3, async (...actors) => {
    for (let race = 0; race < 60; race++) {
      const paths = mounts.everywhere(`doomed-${String(race)}`);
      const maker = actors[race % 3] as Actor;
      if (race % 2 === 0) await maker.call("writeWhole", paths[race % 3] as string, "x");
      else await maker.call("mkdir", paths[race % 3] as string);
      const outcomes = await collide(actors, (i) => [race % 2 === 0 ? "unlink" : "rmdir", paths[i]]);
      oneWins(t, outcomes, "ENOENT", `race ${String(race)}`);
    }
  });
});

test.serial("a directory is removed empty, or something is made in it: never both", async (t) => {
  t.timeout(120_000);
  await mounts.withActors(2, async (a, b) => {
    const seen = { removed: 0, kept: 0 };
    for (let race = 0; race < 60; race++) {
      const [here = "", there = ""] = mounts.everywhere(`contested-${String(race)}`);
      await a.call("mkdir", here);
      const outcomes = await collide([a, b], (i) =>
        i === 0 ? ["rmdir", here] : ["open", `${there}/inside`, O.CREAT | O.EXCL | O.WRONLY],
      );
      const listed = await a.call("list", here).catch((error: unknown) => (error as { errno?: string }).errno);
      if (outcomes[0] === "") {
        t.deepEqual([outcomes[1], listed], ["ENOENT", "ENOENT"], `race ${String(race)}`);
        seen.removed++;
      } else {
        t.deepEqual([outcomes, listed], [["ENOTEMPTY", ""], ["inside"]], `race ${String(race)}`);
        seen.kept++;
      }
    }
    t.log(seen);
  });
});

test.serial("no log has an error after all of that", (t) => {
  t.deepEqual(mounts.errors(), []);
});
