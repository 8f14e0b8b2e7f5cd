import test from "ava";
import type { Ino } from "../../src/base/ids.ts";
import { limits } from "../../src/base/limits.ts";
import { keys } from "../../src/metadata-store/keys.ts";
import { nameFromText } from "../../src/base/name.ts";
import { settle } from "../support/simulated-clock.ts";
import { live, root, rootIno, TestClient, TestCluster } from "./support.ts";

async function exists(client: TestClient, ino: Ino): Promise<boolean> {
  return client.call("getattr", { ino }).then(
    () => true,
    () => false,
  );
}

async function unlink(client: TestClient, text: string, keep = false): Promise<void> {
  await client.change("unlink", { caller: root, parent: rootIno, name: nameFromText(text), keep });
}

async function two(): Promise<{ cluster: TestCluster; first: TestClient; second: TestClient; ino: Ino }> {
  const cluster = await TestCluster.start();
  const first = await TestClient.open(cluster);
  const second = await TestClient.open(cluster);
  return { cluster, first, second, ino: await first.create("file") };
}

test("the other sessions are asked about an inode that lost its last name; unused, it goes at once", async (t) => {
  const { cluster, first, second, ino } = await two();
  await unlink(first, "file");
  await settle();
  t.deepEqual(second.asked, [[ino]]);
  t.deepEqual(first.asked, []);
  t.false(await exists(first, ino));
  await cluster.stop();
});

test("an inode that another session uses stays until that one releases it", async (t) => {
  const { cluster, first, second, ino } = await two();
  second.inUse.add(ino);
  await unlink(first, "file");
  await settle();
  t.true(await exists(second, ino));
  await second.change("releaseOrphans", { inos: [ino] });
  t.false(await exists(second, ino));
  await cluster.stop();
});

test("a rename over a file asks about the replaced inode", async (t) => {
  const { cluster, first, second, ino } = await two();
  await first.create("new");
  const [name, newName] = [nameFromText("new"), nameFromText("file")];
  await first.change("rename", {
    caller: root,
    parent: rootIno,
    name,
    newParent: rootIno,
    newName,
    flags: 0,
    keep: false,
  });
  await settle();
  t.deepEqual(second.asked, [[ino]]);
  t.false(await exists(first, ino));
  await cluster.stop();
});

test("an ended session's orphans go", async (t) => {
  const { cluster, first, second, ino } = await two();
  second.inUse.add(ino);
  await unlink(first, "file", true);
  await first.change("releaseOrphans", { inos: [ino] });
  t.true(await exists(first, ino));
  await second.disconnect();
  await live(cluster, limits.sessionTtlMillis + 3_000, { clients: [first] });
  t.false(await exists(first, ino));
  await cluster.stop();
});

test("a session that was cut off is asked when it comes back", async (t) => {
  const { cluster, first, second, ino } = await two();
  await second.disconnect();
  await unlink(first, "file");
  await settle();
  t.true(await exists(first, ino));
  await second.resume();
  await settle();
  t.deepEqual(second.asked, [[ino]]);
  t.false(await exists(first, ino));
  await cluster.stop();
});

test("orphans survive a restart for sessions that come back, and go with those that do not", async (t) => {
  const { cluster, first, second, ino } = await two();
  const kept = await first.create("kept");
  second.inUse.add(ino);
  first.inUse.add(kept);
  await unlink(first, "file");
  await unlink(first, "kept", true);
  await settle();
  await cluster.crash();
  await first.resume();
  await settle();
  for (const orphan of [ino, kept]) t.truthy(cluster.store.get(keys.inode(orphan)));
  await live(cluster, limits.sessionTtlMillis + 3_000, { clients: [first] });
  t.false(await exists(first, ino));
  t.true(await exists(first, kept));
  await cluster.stop();
});

test("what an ended session left is released at the next start if the server died on the way", async (t) => {
  const cluster = await TestCluster.start();
  const client = await TestClient.open(cluster);
  const inos: Ino[] = [];
  for (let i = 0; i < 40; i++) {
    inos.push(await client.create(`file-${String(i)}`));
    await unlink(client, `file-${String(i)}`, true);
  }
  const ended = client.call("closeSession", {}).catch(() => undefined);
  await settle(4);
  await cluster.crash();
  await ended;
  const next = await TestClient.open(cluster);
  if (cluster.server.status().sessions.length === 1) {
    for (const ino of inos) t.false(await exists(next, ino));
  }
  t.pass();
  await cluster.stop();
});

test("more questions than are remembered are found in the orphan table", async (t) => {
  const { cluster, first, second } = await two();
  await second.disconnect();
  const count = limits.orphanQuestionsMax + 200;
  const inos = await inParallel(count, (i, slot) => first.create(`many-${String(i)}`, slot));
  await inParallel(count, (i, slot) =>
    first.change(
      "unlink",
      { caller: root, parent: rootIno, name: nameFromText(`many-${String(i)}`), keep: false },
      slot,
    ),
  );
  await second.resume();
  await settle(200);
  t.deepEqual(new Set(second.asked.flat()), new Set(inos));
  t.true(second.asked.every((batch) => batch.length <= 1_024));
  for (const ino of inos.slice(-3)) t.false(await exists(first, ino));
  await cluster.stop();
});

async function inParallel<T>(count: number, run: (index: number, slot: number) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  const worker = async (slot: number): Promise<void> => {
    for (let i = slot; i < count; i += limits.sessionSlots) results.push(await run(i, slot));
  };
  await Promise.all(Array.from({ length: limits.sessionSlots }, (_, slot) => worker(slot)));
  return results;
}
