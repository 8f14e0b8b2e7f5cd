/**
 * Random changes, once as batches of the ahead log and once as ordinary requests at the same times: the same is left in
 * the store, and the same are refused.
 */
import test from "ava";
import type { Ino } from "../../src/base/ids.ts";
import { seededRandom, type Random } from "../../src/base/random.ts";
import { keys } from "../../src/metadata-store/keys.ts";
import type { AheadEntry } from "../../src/protocol/ahead.ts";
import { answeredAt, apply, entries, goAhead, plus } from "./ahead-client.ts";
import { rootIno, TestClient, TestCluster } from "./support.ts";

const seeds = Number(process.env["AHEAD_SEEDS"] ?? 8);
const changesPerSeed = 300;

/** All that is about files. */
function dump({ store }: TestCluster): string[] {
  const shown: string[] = [];
  for (const tables of ["d", "e", "i", "n", "o", "s", "x"]) {
    const end = String.fromCharCode(tables.charCodeAt(0) + 1);
    for (const [key, value] of store.range({ gte: tables, lt: end })) {
      shown.push(`${Buffer.from(key, "latin1").toString("hex")} ${value.toString("hex")}`);
    }
  }
  return [...shown, `inodes ${String(store.get(keys.config("inodes"))?.toString("hex"))}`];
}

/** Returns the inode that it made, if any. Rejects when it is refused. */
async function asOrdinary(client: TestClient, { method, time, request }: AheadEntry): Promise<Ino | undefined> {
  const { clock } = client.cluster;
  clock.jumpWall(time - clock.wallNanos());
  const reply = await client.change(method as "create", request as Parameters<typeof client.change<"create">>[1]);
  return (reply.attributes as typeof reply.attributes | null)?.ino;
}

/** What there is to change: mostly directories as directories and files as files. */
interface Known {
  readonly directories: Ino[];
  readonly others: Ino[];
}

function randomEntry(random: Random, { directories, others }: Known, next: Ino, time: bigint): AheadEntry {
  const pick = <T>(from: readonly T[]): T => from[random.below(from.length)] as T;
  const text = (): string => pick(["a", "b", "c", "d", "e"]);
  const parent = pick(random.below(20) === 0 ? [...others, rootIno] : directories);
  const newParent = pick(directories);
  const file = pick(random.below(20) === 0 || others.length === 0 ? directories : others);
  const made = pick([
    () => entries.create(next, text(), parent),
    () => entries.create(next, text(), parent),
    () => entries.mkdir(next, text(), parent),
    () => entries.symlink(next, text(), parent),
    () => entries.unlink(text(), parent),
    () => entries.unlink(text(), parent, true),
    () => entries.rmdir(text(), parent),
    () => entries.rename(text(), text(), parent, newParent),
    () => entries.rename(text(), text(), parent),
    () => exchange(entries.rename(text(), text(), parent, newParent)),
    () => entries.chmod(file, 0o600 + random.below(0o200)),
    () => entries.chmod(parent, 0o700 + random.below(0o100)),
    () => entries.truncate(file, random.below(20)),
    () => entries.write(file, "x".repeat(1 + random.below(100))),
    () => entries.write(file, "y".repeat(1 + random.below(100))),
  ])();
  return { ...made, time };
}

function exchange(entry: AheadEntry): AheadEntry {
  return entry.method === "rename" ? { ...entry, request: { ...entry.request, flags: 2 } } : entry;
}

test("what is applied in batches is what the same requests do one by one", async (t) => {
  const first = Number(process.env["AHEAD_SEED"] ?? 1);
  let refused = 0;
  for (let seed = first; seed < first + seeds; seed++) {
    const random = seededRandom(seed);
    const [cluster, model] = [await TestCluster.start(), await TestCluster.start()];
    const [client, ordinary] = [await TestClient.open(cluster), await TestClient.open(model)];
    const known: Known = { directories: [rootIno], others: [] };
    const answered: AheadEntry[] = [];
    let next = await goAhead(client);
    for (let change = 0; change < changesPerSeed; change++) {
      const entry = randomEntry(random, known, next, answeredAt + BigInt(change) * 1_000n);
      try {
        const made = await asOrdinary(ordinary, entry);
        if ("ino" in entry) t.is(made, next);
      } catch {
        // What the client knows to be refused it does not do ahead.
        refused++;
        continue;
      }
      answered.push(entry);
      if (!("ino" in entry)) continue;
      (entry.method === "mkdir" ? known.directories : known.others).push(next);
      next = plus(next, 1);
    }
    let sequence = 0;
    while (answered.length > 0) {
      await apply(client, ++sequence, ...answered.splice(0, 1 + random.below(40)));
      if (random.below(5) > 0) continue;
      await cluster.crash();
      const all = [...known.directories, ...known.others];
      client.inUse = new Set(all);
      client.held = all.map((ino) => ({ ino, level: "exclusive" }));
      await client.resume();
    }
    t.deepEqual(dump(cluster), dump(model), `AHEAD_SEED=${String(seed)}`);
    await cluster.stop();
    await model.stop();
  }
  t.log(
    `seeds ${String(first)} to ${String(first + seeds - 1)}, ${String(refused)} of ${String(seeds * changesPerSeed)} refused`,
  );
});
