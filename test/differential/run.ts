/**
 * Random operations from seeds, each on a local directory and on the mount, compared at once; and the whole trees in
 * the middle and at the end:
 *   node --import=tsx test/differential/run.ts LOCAL MOUNT[,MOUNT] FIRST-LAST STEPS [REMOUNT-COMMANDS-AS-JSON]
 * With two mounts of one cluster each step goes through one of them, so that whatever is stale in the other shows.
 * Prints one JSON line for each seed: { seed, steps, kinds, error }. For people: DFS_TRACE=1 prints each step,
 * DFS_TREES=1 compares the trees after each one (which changes what is cached when).
 */
import { spawnSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { seededRandom } from "../../src/base/random.ts";
import { O } from "../conformance/libc/constants.ts";
import { sys } from "../conformance/libc/sys.ts";
import { contentOf, digestOf, shown, treeDifference, treeOf } from "./look.ts";
import { difference, outcomeOf, Side } from "./side.ts";
import { attributeSteps } from "./steps-attributes.ts";
import { contentSteps } from "./steps-content.ts";
import { fileSteps } from "./steps-files.ts";
import { nameSteps } from "./steps-names.ts";
import { World, type Act, type Choice, type Kind } from "./world.ts";

const kinds: readonly Kind[] = [...nameSteps, ...fileSteps, ...contentSteps, ...attributeSteps];
const totalWeight = kinds.reduce((sum, { weight }) => sum + weight, 0);
const users = [{ uid: 1001 }, { uid: 1002, groups: [1001] }, { uid: 65_534 }];
/** Deep, so that what climbs over ".." stays inside. */
const deep = "p/q/r/s/t/u/v/root";
const shownHistory = 12;

const [local = "", mount = "", range = "", stepText = "", remountText] = process.argv.slice(2);
const [first = 0, last = 0] = range.split("-").map(Number);
const remount = remountText === undefined ? [] : (JSON.parse(remountText) as string[][]);
const isTracing = process.env["DFS_TRACE"] !== undefined;
const isComparingAlways = process.env["DFS_TREES"] !== undefined;

/** The first difference of one seed, or null. */
function runSeed(seed: number, counts: Map<string, number>): string | null {
  const random = seededRandom(seed);
  const folder = `seed-${String(seed)}`;
  const roots = (places: string): string[] => places.split(",").map((place) => join(place, folder, deep));
  const sides = [new Side("ext4", roots(local)), new Side("dfs", roots(mount))] as const;
  const world = new World(random, sides[0], sides[1]);
  const history: string[] = [];
  const compare = (what: string, act: Act): string | undefined => {
    if (isTracing) console.error(what);
    history.push(what);
    const found = difference(
      outcomeOf(() => act(sides[0])),
      outcomeOf(() => act(sides[1])),
    );
    if (found === undefined) return undefined;
    return [`${what}: ${found}`, ...history.slice(-1 - shownHistory, -1).map((line) => `    after ${line}`)].join("\n");
  };
  const compareAll = (label: string): string | undefined => {
    const wanted = treeOf(sides[0], "");
    for (const root of sides[1].roots) {
      sides[1].root = root;
      const found = treeDifference(wanted, treeOf(sides[1], ""));
      if (found !== undefined) return compare(`${label}: ${found}`, (side) => side.name);
    }
    for (const slot of sides[0].open.keys()) {
      const error = compare(`${label}: #${String(slot)} (${sides[0].open.get(slot)?.what ?? ""})`, (side) =>
        openFile(side, slot),
      );
      if (error !== undefined) return error;
    }
    return undefined;
  };
  sys.umask(0);
  prepare(local, folder, sides[0]);
  prepare(mount.split(",")[0] ?? "", folder, sides[1]);
  try {
    const steps = Number(stepText);
    const middle = Math.floor(steps / 2);
    for (let k = 0; k < steps; k++) {
      const label = `seed ${String(seed)} step ${String(k)}`;
      if (k === middle) {
        const error = inTheMiddle(seed, sides, compareAll, label);
        if (error !== undefined) return error;
      }
      const { name, choice } = choose(world);
      sides[1].root = world.any(sides[1].roots);
      counts.set(name, (counts.get(name) ?? 0) + 1);
      const error =
        compare(`${label}: ${name} ${choice.args}`, choice.act) ?? (isComparingAlways ? compareAll(label) : undefined);
      if (error !== undefined) return error;
    }
    const error = compareAll(`seed ${String(seed)}, at the end`);
    if (error !== undefined) return error;
    for (const side of sides) side.closeAll();
    return compareAll(`seed ${String(seed)}, all closed`) ?? null;
  } finally {
    for (const side of sides) side.closeAll();
    sys.umask(0o022);
    for (const side of [local, mount]) rmSync(join(side.split(",")[0] ?? "", folder), { recursive: true, force: true });
  }
}

function prepare(place: string, folder: string, side: Side): void {
  let path = join(place, folder);
  sys.mkdir(path, 0o755);
  for (const part of deep.split("/")) {
    path = join(path, part);
    sys.mkdir(path, 0o777);
  }
  sys.mkdir(side.path("d1"), 0o777);
  sys.mkdir(side.path("d2"), 0o755);
  sys.mkdir(side.path("d1/s1"), 0o777);
  sys.chmod(side.path("d1"), 0o1777);
}

/** Every seed compares there; some lose their caches, some are mounted anew. */
function inTheMiddle(
  seed: number,
  sides: readonly Side[],
  compareAll: (label: string) => string | undefined,
  label: string,
): string | undefined {
  if (seed % 25 === 7 && remount.length > 0) {
    for (const side of sides) side.closeAll();
    for (const [command = "", ...args] of remount) {
      const result = spawnSync(command, args, { encoding: "utf8", cwd: "/", timeout: 60_000 });
      if (result.status !== 0) return `${label}: ${args.join(" ")}: ${result.stdout}${result.stderr}`;
    }
    return compareAll(`${label}: mounted anew`);
  }
  if (seed % 10 === 3) writeFileSync("/proc/sys/vm/drop_caches", "3");
  return compareAll(label);
}

function openFile(side: Side, slot: number): unknown {
  const fd = side.fd(slot);
  const stat = sys.fstat(fd);
  const isFile = (stat.mode & 0o170000) === 0o100000;
  const isReadable = (sys.flags(fd) & 3) !== O.WRONLY;
  return [shown(stat), isFile && isReadable ? digestOf(contentOf(fd, Number(stat.size))) : ""];
}

/** A step of a random kind; a quarter of those that may be are done by a user without privileges. */
function choose(world: World): { name: string; choice: Choice } {
  for (;;) {
    let at = world.below(totalWeight);
    const found = kinds.find(({ weight }) => (at -= weight) < 0);
    const choice = found?.make(world);
    if (found === undefined || choice === undefined) continue;
    const { name } = found;
    if (!found.anyUser || !world.chance(4)) return { name, choice };
    const user = world.any(users);
    return {
      name,
      choice: { args: `${choice.args} (by ${String(user.uid)})`, act: (side) => sys.as(user, () => choice.act(side)) },
    };
  }
}

for (let seed = first; seed <= last; seed++) {
  const counts = new Map<string, number>();
  let error: string | null;
  try {
    error = runSeed(seed, counts);
  } catch (caught) {
    error = `seed ${String(seed)}: ${caught instanceof Error ? (caught.stack ?? caught.message) : String(caught)}`;
  }
  console.log(JSON.stringify({ seed, kinds: Object.fromEntries(counts), error }));
}
