/** What a name server's disk damages of journal and snapshot never gets into a copy, and no copy is kept waiting by it. */
import test from "ava";
import { seededRandom } from "../../../src/base/random.ts";
import { FaultyDisk } from "../../support/faulty-disk.ts";
import { contentIn, contentOf, recover } from "./recovering.ts";
import { stateOf, type CopyNode } from "./copy-node.ts";
import { CopyCluster, type CopyClient } from "./support.ts";

async function createMany(client: CopyClient, prefix: string, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await client.create(`${prefix}${String(i)}`).promise;
}

function snapshotOf(c: CopyCluster): string {
  return c.disk.files("snapshot").find((path) => path.endsWith(".snapshot")) ?? "";
}

/** A cluster with a snapshot, one member, and another node that has to begin a copy once `next` is called. */
async function withSnapshot(): Promise<{
  c: CopyCluster;
  client: CopyClient;
  late: CopyNode;
  next: () => Promise<void>;
}> {
  const c = new CopyCluster();
  await c.begin();
  await c.withNodes(1);
  const [a, late] = (await c.withNodes(1)) as [CopyNode, CopyNode];
  const client = await c.client();
  await client.open();
  await createMany(client, "f", 60);
  await c.live(3_000);
  await c.store.snapshot();
  return { c, client, late, next: () => a.disconnect() };
}

const places: readonly (readonly [string, (bytes: number) => number])[] = [
  ["its header", () => 17],
  ["a chunk's header", () => 32 + 9],
  ["a value", (bytes) => Math.floor(bytes / 2)],
  ["its manifest", (bytes) => bytes - 20],
];

for (const [what, place] of places) {
  test(`a snapshot that has rotted in ${what} becomes nobody's base: a new one does`, async (t) => {
    const { c, client, late, next } = await withSnapshot();
    const path = snapshotOf(c);
    c.disk.flip(path, place(c.disk.bytesOf(path).length));
    await next();
    const made = client.create("more");
    await c.live(5_000);
    t.is(made.state, "resolved");
    t.deepEqual(c.members, [late.id]);
    t.true(((await stateOf(late)).copy?.base.index ?? 0) > 0);
    t.is(c.server.status().metadata.damageReplaced, 1);
    t.deepEqual(
      c.server.status().warnings.filter((text) => text.includes("damaged")),
      [],
    );
    const content = contentOf(c.store);
    const own = await c.kill();
    t.deepEqual(await contentIn(own), content, "this server's own next start");
    const disk = new FaultyDisk(seededRandom(1));
    await recover(disk, c.nodes);
    t.deepEqual(await contentIn(disk), content, "a recovery from that copy");
  });
}

test("a snapshot that is gone, with the journal before it, is replaced, too", async (t) => {
  const { c, client, late, next } = await withSnapshot();
  // There is nothing else of the beginning.
  await createMany(client, "g", 40);
  await c.live(3_000);
  await c.store.snapshot();
  t.is(await c.store.readRecords(1, 1), undefined);
  c.disk.lose(snapshotOf(c));
  await next();
  await c.live(5_000);
  t.deepEqual(c.members, [late.id]);
  t.is(c.server.status().metadata.damageReplaced, 1);
  await c.kill();
});

test("when no new snapshot can be taken, the copy waits, status says why, and it is tried again", async (t) => {
  const { c, late, next } = await withSnapshot();
  c.disk.flip(snapshotOf(c), 100);
  let tries = 0;
  c.disk.fault = (operation, path) => {
    if (operation !== "write" || path !== "snapshot/partial") return undefined;
    tries += 1;
    return "ENOSPC";
  };
  await next();
  await c.live(20_000);
  t.false(c.members.includes(late.id));
  t.is(tries, 1, "not over and over");
  t.is(c.server.status().metadata.damageReplaced, 0);
  t.regex(c.server.status().warnings.join("\n"), /disk has damaged the metadata: .*snapshot is damaged.*ENOSPC/);
  c.disk.fault = () => undefined;
  await c.live(60_000);
  t.true(c.members.includes(late.id));
  t.is(c.server.status().metadata.damageReplaced, 1);
  t.notRegex(c.server.status().warnings.join("\n"), /damaged/);
  await c.kill();
});

test("a damaged file of the journal that a copy which is behind needs: a snapshot takes its place", async (t) => {
  const c = new CopyCluster(3);
  await c.begin();
  const [a, b] = (await c.withNodes(2)) as [CopyNode, CopyNode];
  const client = await c.client();
  await client.open();
  await createMany(client, "before", 5);
  await a.disconnect();
  await c.live(3_000);
  await createMany(client, "f", 60);
  // Restarted, it has nothing of that in memory.
  await b.disconnect();
  await c.begin(await c.kill());
  await b.begin();
  await c.live(6_000);
  t.true(c.copies.serving);
  const end = (await stateOf(a)).copy?.end.index ?? 0;
  const files = c.disk
    .files("journal")
    .filter((path) => path.endsWith(".journal"))
    .sort();
  const first = (path: string): number => c.disk.bytesOf(path).readUInt32LE(24);
  const needed = files.slice(0, -1).findLast((path) => first(path) > end) ?? "";
  c.disk.flip(needed, 4_096 + 100);
  await a.begin();
  await c.live(5_000);
  t.deepEqual(c.members.toSorted(), [a.id, b.id].toSorted());
  t.deepEqual((await stateOf(a)).copy?.end, c.store.end);
  t.is(c.server.status().metadata.damageReplaced, 1);
  t.false(c.disk.has(needed));
  const content = contentOf(c.store);
  t.deepEqual(await contentIn(await c.kill()), content);
});
