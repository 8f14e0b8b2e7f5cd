/** What applyAhead guarantees: order, exactly once, refusals (src/name-server/ahead/README.md). */
import test from "ava";
import { nameFromText } from "../../src/base/name.ts";
import { silentLog } from "../../src/base/log.ts";
import { settle } from "../support/simulated-clock.ts";
import { answeredAt, apply, entries, goAhead, plus, errno, names, one } from "./ahead-client.ts";
import { root, rootIno, TestClient, TestCluster } from "./support.ts";

const name = nameFromText;
const { create, mkdir, symlink, unlink, rename, chmod, write } = entries;

test("entries are applied in their order, each at its own time and with its own inode number", async (t) => {
  const { cluster, client, ino } = await one();
  const [directory, file, link] = [ino, plus(ino, 7), plus(ino, 3)];
  const later = { ...chmod(file, 0o600), time: answeredAt + 5n };
  const reply = await apply(
    client,
    1,
    ...[mkdir(directory, "d"), create(file, "a", directory), write(file, "content"), later],
    ...[symlink(link, "l"), rename("a", "b", directory), create(plus(ino, 1), "gone"), unlink("gone")],
  );
  t.deepEqual(await names(client), ["d", "l"]);
  t.deepEqual(await names(client, directory), ["b"]);
  const found = await client.call("lookup", { parent: directory, name: name("b") });
  t.like(found.attributes, { ino: file, mode: 0o100600, size: 7, mtime: answeredAt, ctime: answeredAt + 6n });
  t.is(found.attributes?.btime, answeredAt);
  t.deepEqual(
    reply.attributes.map((attributes) => attributes.ino).sort(),
    [rootIno, directory, file].sort(),
    "the directories and the file, each once",
  );
  t.deepEqual(
    reply.attributes.find((attributes) => attributes.ino === file),
    found.attributes,
    "as after the batch",
  );
  await cluster.stop();
});

test("a batch of which one entry is refused changes nothing, and no later batch does", async (t) => {
  const logged: unknown[] = [];
  const log = { ...silentLog, error: (fields: unknown) => void logged.push(fields) } as typeof silentLog;
  const cluster = await TestCluster.start({ log });
  const client = await TestClient.open(cluster);
  const ino = await goAhead(client);
  await apply(client, 1, create(ino, "a"));
  const refused = [create(plus(ino, 1), "b"), create(plus(ino, 2), "a"), create(plus(ino, 3), "c")];
  await t.throwsAsync(apply(client, 2, ...refused), errno("EEXIST"));
  t.deepEqual(await names(client), ["a"]);
  t.like(logged[0], { session: client.session, sequence: 2, method: "create", ino: rootIno, errno: "EEXIST" });
  await client.change("unlink", { caller: root, parent: rootIno, name: name("a"), keep: false });
  await t.throwsAsync(apply(client, 2, ...refused), errno("EEXIST"), "and that stays so");
  await t.throwsAsync(apply(client, 3, create(plus(ino, 4), "d")), errno("EIO"));
  await t.notThrowsAsync(apply(client, 1, create(ino, "a")), "what was applied is still answered");
  await cluster.crash();
  await client.resume();
  await t.throwsAsync(apply(client, 2, ...refused), errno("EEXIST"), "after a restart too");
  await t.throwsAsync(apply(client, 3, create(plus(ino, 4), "d")), errno("EIO"));
  t.deepEqual(await names(client), []);
  await cluster.stop();
});

test("batches are numbered without gaps", async (t) => {
  const { cluster, client, ino } = await one();
  await t.throwsAsync(apply(client, 2, create(ino, "a")), errno("EINVAL"));
  await apply(client, 1, create(ino, "a"));
  await t.throwsAsync(apply(client, 3, create(plus(ino, 1), "b")), errno("EINVAL"));
  await apply(client, 2, create(plus(ino, 1), "b"));
  await cluster.stop();
});

test("a batch that is sent again is answered again and changes nothing", async (t) => {
  const { cluster, client, ino } = await one();
  const batch = [create(ino, "a"), write(ino, "one"), rename("a", "b")];
  const replies = await Promise.all([apply(client, 1, ...batch), apply(client, 1, ...batch)]);
  t.deepEqual(replies[1], replies[0]);
  const index = cluster.store.lastIndex;
  await client.disconnect();
  await client.resume();
  t.deepEqual(await apply(client, 1, ...batch), replies[0]);
  t.is(cluster.store.lastIndex, index);
  await apply(client, 2, write(ino, "second"));
  const told = await apply(client, 1, ...batch);
  t.is(told.attributes.find((attributes) => attributes.ino === ino)?.size, 6, "as it is now");
  await cluster.crash();
  client.held = [{ ino, level: "exclusive" }];
  await client.resume();
  const afterwards = await apply(client, 1, ...batch);
  t.deepEqual(afterwards.attributes, told.attributes);
  t.deepEqual(
    afterwards.leases.map(({ level }) => level),
    ["exclusive"],
  );
  t.deepEqual(await names(client), ["b"]);
  await cluster.stop();
});

test("a server that dies between applying and answering has applied a batch once", async (t) => {
  for (const isDurable of [false, true]) {
    const { cluster, client, ino } = await one();
    const batch = [create(ino, "a"), create(plus(ino, 1), "b"), unlink("a")];
    const { store } = cluster;
    store.durable = () => new Promise(() => undefined);
    const lost = t.throwsAsync(apply(client, 1, ...batch));
    await settle(isDurable ? 200 : 0);
    await cluster.crash();
    await lost;
    client.held = [{ ino: rootIno, level: "exclusive" }];
    await client.resume();
    await apply(client, 1, ...batch);
    t.deepEqual(await names(client), ["b"]);
    await apply(client, 2, unlink("b"));
    await cluster.stop();
  }
});

test("what was not answered may be sent before the leases are said, while all others wait", async (t) => {
  const { cluster, client, ino } = await one();
  const other = await TestClient.open(cluster);
  await cluster.crash();
  await client.connect();
  const reply = await client.open(client.session);
  t.false(reply.leasesKept);
  await apply(client, 1, create(ino, "a"), write(ino, "ahead"));
  await other.resume();
  const seen = other.lookup("a");
  client.held = [{ ino: rootIno, level: "exclusive" }];
  await client.reclaim();
  t.is(await seen, ino);
  await cluster.stop();
});
