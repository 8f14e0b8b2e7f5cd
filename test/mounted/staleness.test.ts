/**
 * No look is ever stale: what was changed on one mount is what a process on the other sees by its very next system call,
 * whatever it holds open or has cached, and whatever else looks at the folder meanwhile. Changes of all kinds in random
 * order; DFS_SEED=7 chooses another one, DFS_STALE_ROUNDS=10000 more of it.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { seededRandom } from "../../src/base/random.ts";
import type { Actor } from "./actor.ts";
import { SeveralMounts } from "./several-mounts.ts";
import { contentKinds } from "./staleness-content.ts";
import { folderKinds } from "./staleness-folders.ts";
import { nameKinds } from "./staleness-names.ts";
import { Hand, holdings, Round, type Folder, type Stale, type Subject } from "./staleness.ts";

const seed = Number(process.env["DFS_SEED"] ?? "1");
const rounds = Number(process.env["DFS_STALE_ROUNDS"] ?? "1000");
/** More than this many are not needed to understand. */
const staleMax = 20;
/** Of so many rounds some are done while another process looks at the folder all the time. */
const roundsPerPart = 50;
const kinds = Object.entries({ ...contentKinds, ...nameKinds, ...folderKinds });

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

test.serial(
  `what one mount changes the other sees at its next call, ${String(rounds)} changes, seed ${String(seed)}`,
  async (t) => {
    t.timeout(60_000 + rounds * 300);
    await mounts.withActors(4, async (first, second, ...lookers) => {
      const random = seededRandom(seed);
      const [one = "", two = ""] = mounts.everywhere("shared");
      await first.call("mkdir", one);
      const hands = [
        new Hand(first, { machine: "first", root: one }),
        new Hand(second, { machine: "second", root: two }),
      ] as const;
      const folder = await makeFolder(hands[0]);
      const stale: Stale[] = [];
      const counts = new Map<string, number>();
      for (let part = 0; part * roundsPerPart < rounds && stale.length < staleMax; part++) {
        const looker = part % 3;
        const meanwhile =
          ["nobody else looks", "the first mount is listed", "the second mount is listed"][looker] ?? "";
        const doing = async (): Promise<void> => {
          for (let number = part * roundsPerPart; number < Math.min(rounds, (part + 1) * roundsPerPart); number++) {
            const [kind, act] = kinds[random.below(kinds.length)] as (typeof kinds)[number];
            const [a, b] = random.below(2) === 0 ? hands : [hands[1], hands[0]];
            const subject = folder.subjects[random.below(folder.subjects.length)] as Subject;
            const round = new Round({ a, b }, { number, random, folder, subject }, { kind, seed, meanwhile });
            for (const hand of hands) {
              const holding = round.one(holdings);
              await hand.hold(subject, { holding, keep: round.chance(2) });
            }
            await act(round).catch((error: unknown) => {
              throw new Error(
                `${kind}, seed ${String(seed)}, round ${String(number)} (${meanwhile}): ${String(error)}`,
              );
            });
            counts.set(kind, (counts.get(kind) ?? 0) + 1);
            stale.push(...round.stale);
            if (stale.length >= staleMax) return;
          }
        };
        const root = [one, one, two][looker] ?? one;
        await (looker === 0 ? doing() : whileLooking(lookers[looker - 1] as Actor, root, doing));
      }
      t.log([...counts].map(([kind, count]) => `${kind}: ${String(count)}`).join(", "));
      report(t, stale);
    });
  },
);

test.serial("no log has an error after all of that", (t) => {
  t.deepEqual(mounts.errors(), []);
});

function report(t: ExecutionContext, stale: readonly Stale[]): void {
  const perKind = new Map<string, number>();
  for (const { kind } of stale) perKind.set(kind, (perKind.get(kind) ?? 0) + 1);
  t.deepEqual([...perKind], [], stale.map(({ text }) => text).join("\n"));
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
