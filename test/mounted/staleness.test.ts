/**
 * No look is ever stale: what was changed on one mount is what a process on the other sees by its very next system call,
 * whatever it holds open or has cached, and whatever else looks at the folder meanwhile. Changes of all kinds in random
 * order; DFS_SEED=7 chooses another one, DFS_STALE_ROUNDS=10000 more of it. Some kinds go on and on alone, until the files
 * are so disputed that nobody is given leases of them for a while.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { seededRandom, type Random } from "../../src/base/random.ts";
import type { Actor } from "./actor.ts";
import { SeveralMounts } from "./several-mounts.ts";
import { contentKinds } from "./staleness-content.ts";
import { folderKinds } from "./staleness-folders.ts";
import { nameKinds } from "./staleness-names.ts";
import { Hand, holdings, Round, type Folder, type Stale, type Subject } from "./staleness.ts";

const seed = Number(process.env["DFS_SEED"] ?? "1");
const roundsOfAll = Number(process.env["DFS_STALE_ROUNDS"] ?? "1000");
/** More than this many are not needed to understand. */
const staleMax = 20;
/** Of so many rounds some are done while another process looks at the folder all the time. */
const roundsPerPart = 50;
type Kind = readonly [string, (round: Round) => Promise<void>];
const allKinds: readonly Kind[] = Object.entries({ ...contentKinds, ...nameKinds, ...folderKinds });
const disputed = ["a mapping that reads", "write without close", "append"];
const disputedKinds = allKinds.filter(([kind]) => disputed.includes(kind));

let mounts: SeveralMounts;
/** On the local disk: tells the processes that look around when to end. */
const local = mkdtempSync("/var/tmp/dfs-staleness-");

test.before(async () => {
  mounts = await SeveralMounts.start(2);
});
test.after.always(async () => {
  rmSync(local, { recursive: true, force: true });
  await mounts.close();
});

/** All that goes on from round to round. */
interface Game {
  readonly hands: readonly [Hand, Hand];
  readonly random: Random;
  readonly folder: Folder;
  readonly stale: Stale[];
  readonly counts: Map<string, number>;
  readonly kinds: readonly Kind[];
  isOver: boolean;
}

for (const [title, kinds, rounds] of [
  [`what one mount changes the other sees at its next call`, allKinds, roundsOfAll],
  [`so it is with files that are disputed`, disputedKinds, roundsOfAll / 5],
] as const) {
  test.serial(`${title}, ${String(rounds)} changes, seed ${String(seed)}`, async (t) => {
    t.timeout(60_000 + rounds * 300);
    await mounts.withActors(4, async (first, second, ...lookers) => {
      const [one = "", two = ""] = mounts.everywhere(`shared by ${String(kinds.length)} kinds`);
      await first.call("mkdir", one);
      const hands = [
        new Hand(first, { machine: "first", root: one }),
        new Hand(second, { machine: "second", root: two }),
      ] as const;
      const game: Game = {
        hands,
        random: seededRandom(seed),
        folder: await makeFolder(hands[0]),
        stale: [],
        counts: new Map(),
        kinds,
        isOver: false,
      };
      const looking = [undefined, { looker: lookers[0], root: one }, { looker: lookers[1], root: two }];
      for (let from = 0; from < rounds && !game.isOver; from += roundsPerPart) {
        const look = looking[(from / roundsPerPart) % looking.length];
        const part = { from, to: Math.min(rounds, from + roundsPerPart) };
        if (look?.looker === undefined) await play(game, { ...part, meanwhile: "nobody else looks" });
        else {
          const meanwhile = `${look.root === one ? "first" : "second"} mount is listed all the time`;
          await whileLooking(look.looker, look.root, () => play(game, { ...part, meanwhile }));
        }
      }
      t.log([...game.counts].map(([kind, count]) => `${kind}: ${String(count)}`).join(", "));
      t.is(game.stale.length, 0, game.stale.map(({ text }) => text).join("\n"));
    });
  });
}

test.serial("no log has an error after all of that", (t) => {
  t.deepEqual(mounts.errors(), []);
});

async function play(game: Game, part: { from: number; to: number; meanwhile: string }): Promise<void> {
  const { hands, random, folder, stale, counts, kinds } = game;
  for (let number = part.from; number < part.to && !game.isOver; number++) {
    const [kind, act] = kinds[random.below(kinds.length)] as (typeof kinds)[number];
    const [a, b] = random.below(2) === 0 ? hands : [hands[1], hands[0]];
    const subject = folder.subjects[random.below(folder.subjects.length)] as Subject;
    const round = new Round({ a, b }, { number, random, folder, subject }, { kind, seed, meanwhile: part.meanwhile });
    try {
      for (const hand of hands) await hand.hold(subject, { holding: round.one(holdings), keep: round.chance(2) });
      await act(round);
    } catch (error) {
      // From here on the folder may be other than the model.
      round.stale.push(round.failed(String(error)));
      game.isOver = true;
    }
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
    stale.push(...round.stale);
    if (stale.length >= staleMax) game.isOver = true;
  }
}

async function makeFolder(hand: Hand): Promise<Folder> {
  const subjects = ["file-1", "file-2", "file-3"].map((name) => ({ name, content: Buffer.from(name), generation: 0 }));
  for (const { name, content } of subjects) await hand.actor.call("writeWhole", hand.path(name), content);
  return { subjects, names: new Set(subjects.map(({ name }) => name)) };
}

/** Another process of a machine lists the folder, and looks at all in it, until `act` is done. */
async function whileLooking(looker: Actor, root: string, act: () => Promise<void>): Promise<void> {
  const stop = join(local, "stop");
  const looking = looker.callWithin(120, "lookAround", root, stop);
  // Its own failure is told when it is awaited.
  looking.catch(() => undefined);
  try {
    await act();
  } finally {
    writeFileSync(stop, "");
    try {
      await looking;
    } finally {
      rmSync(stop);
    }
  }
}
