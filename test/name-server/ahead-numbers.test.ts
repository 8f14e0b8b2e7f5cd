/** What reserveInodes guarantees (src/name-server/ahead/README.md). */
import test from "ava";
import type { Ino } from "../../src/base/ids.ts";
import { limits } from "../../src/base/limits.ts";
import { apply, entries, goAhead, plus, errno, names, one } from "./ahead-client.ts";
import { live, rootIno, TestClient, TestCluster } from "./support.ts";

const notReserved = { message: /^EIO: inode number/ };
const { create, unlink, rename, write } = entries;

test("a number that was not reserved, is another's, or was used before makes no inode", async (t) => {
  const { cluster, client, ino } = await one();
  const other = await TestClient.open(cluster);
  const { first: theirs } = await other.change("reserveInodes", { count: 10 });
  for (const [at, number] of [plus(ino, 5_000), theirs, rootIno, plus(ino, 1_000)].entries()) {
    const fresh = await TestClient.open(cluster);
    const mine = await goAhead(fresh, 1_000);
    await t.throwsAsync(apply(fresh, 1, create(mine, `m${String(at)}`), create(number, "x")), notReserved);
  }
  const mine = await goAhead(client, 10);
  await apply(client, 1, create(mine, "a"), unlink("a"));
  await cluster.crash();
  client.held = [{ ino: rootIno, level: "exclusive" }];
  await other.resume();
  await client.resume();
  await live(cluster, 2 * limits.sessionTtlMillis, { clients: [client, other] });
  await t.throwsAsync(apply(client, 2, create(mine, "b")), notReserved, "numbers are used once");
  await cluster.stop();
});

test("reserved numbers are never given twice, also over a restart, and are all usable", async (t) => {
  const { cluster, client } = await one();
  const ranges: { first: number; count: number }[] = [];
  for (const count of [1, limits.reservedInodesMax, 3]) {
    ranges.push(await client.change("reserveInodes", { count }, 1));
    await cluster.crash();
    await client.resume();
  }
  await client.call("acquire", { ino: rootIno, level: "exclusive" });
  const made = await client.create("by the server", 2);
  let end = 0;
  for (const { first, count } of ranges) {
    t.true(first >= end);
    end = first + count;
  }
  t.true(made >= end);
  const all = ranges.flatMap(({ first, count }) => [first, first + count - 1]);
  for (const [at, number] of [...new Set(all)].reverse().entries()) {
    await apply(client, at + 1, create(number as Ino, String(number)));
  }
  t.is((await names(client)).length, 6);
  await cluster.stop();
});

test("of a session that reserves without end the oldest numbers are forgotten", async (t) => {
  const { cluster, client, ino } = await one();
  for (let i = 0; i < 3; i++) await client.change("reserveInodes", { count: limits.reservedInodesMax }, 1);
  await apply(client, 1, create(ino, "a"));
  await client.change("reserveInodes", { count: limits.reservedInodesMax }, 1);
  await t.throwsAsync(apply(client, 2, create(plus(ino, 1), "b")), notReserved);
  await cluster.stop();
});

test("with the disk full no numbers are given, and what was answered is applied all the same", async (t) => {
  let freeBytes = 100 * 1024 ** 3;
  const cluster = await TestCluster.start({ space: () => Promise.resolve({ freeBytes, totalBytes: 100 * 1024 ** 3 }) });
  const client = await TestClient.open(cluster);
  const ino = await goAhead(client);
  freeBytes = 1;
  await live(cluster, 20_000, { clients: [client] });
  await t.throwsAsync(client.create("refused"), errno("ENOSPC"));
  await t.throwsAsync(client.change("reserveInodes", { count: 1 }), errno("ENOSPC"));
  await apply(client, 1, create(ino, "a"), write(ino, "content"), rename("a", "b"));
  t.deepEqual(await names(client), ["b"]);
  await cluster.stop();
});
