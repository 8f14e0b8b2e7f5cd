import test from "ava";
import type { Ino } from "../../src/base/ids.ts";
import { limits } from "../../src/base/limits.ts";
import { nameFromText } from "../../src/base/name.ts";
import type { NameServerMethods } from "../../src/protocol/name-server.ts";
import type { RequestOf } from "../../src/rpc/types.ts";
import { root, rootIno, TestClient, TestCluster } from "./support.ts";
import { TestNode } from "./test-node.ts";

const errno = (code: string): { message: RegExp } => ({ message: new RegExp(code) });
const name = nameFromText;
const creation = { caller: root, parent: rootIno, umask: 0o022 };
type Any = RequestOf<NameServerMethods, never>;

/** Each changing method with a request that would not succeed (or would change again) if it were done twice. */
function requests(inos: { file: Ino; other: Ino; orphan: Ino }): Record<string, object> {
  const { file, other, orphan } = inos;
  const content = Buffer.from("content");
  const extent = { kind: "inline", offset: 0, length: content.length, content };
  return {
    create: { ...creation, name: name("new-file"), mode: 0o100644 },
    mkdir: { ...creation, name: name("new-directory"), mode: 0o40755 },
    mknod: { ...creation, name: name("new-fifo"), mode: 0o10644, rdev: 0 },
    symlink: { ...creation, name: name("new-symlink"), target: Buffer.from("target") },
    tmpfile: { caller: root, parent: rootIno, mode: 0o100600, umask: 0 },
    link: { caller: root, ino: file, newParent: rootIno, newName: name("new-link") },
    rename: {
      caller: root,
      parent: rootIno,
      name: name("old"),
      newParent: rootIno,
      newName: name("new"),
      flags: 0,
      keep: false,
    },
    unlink: { caller: root, parent: rootIno, name: name("gone"), keep: false },
    rmdir: { caller: root, parent: rootIno, name: name("gone-directory"), keep: false },
    setattr: { caller: root, ino: file, mtime: "now" },
    setReplicas: { caller: root, ino: file, replicas: 1 },
    setxattr: { caller: root, ino: file, name: name("user.a"), value: Buffer.from("v"), flags: 1, clearSetgid: false },
    removexattr: { caller: root, ino: other, name: name("user.b") },
    releaseOrphans: { inos: [orphan] },
    writeExtents: {
      ino: file,
      extents: [extent],
      epochs: [],
      size: 0,
      append: true,
      mtime: "now",
      clearPrivileges: false,
    },
    compactExtents: {
      ino: other,
      before: [extent],
      after: [{ ...extent, content: Buffer.from("content") }],
      epochs: [],
    },
    fallocate: { caller: root, ino: file, offset: 0, length: 10, mode: 0 },
    copyFileRange: { caller: root, from: other, fromOffset: 0, to: file, toOffset: 100, length: 7 },
    allocateBlocks: { count: 3, avoid: [] },
    discardBlocks: { blocks: [] },
    reserveInodes: { count: 3 },
  };
}

async function prepared(): Promise<{ cluster: TestCluster; client: TestClient; all: Record<string, object> }> {
  const cluster = await TestCluster.start();
  await TestNode.up(cluster, 1);
  await TestNode.up(cluster, 2);
  const client = await TestClient.open(cluster);
  const file = await client.create("file");
  const other = await client.create("other");
  for (const text of ["old", "gone"]) await client.create(text);
  await client.change("mkdir", { ...creation, name: name("gone-directory"), mode: 0o40755 });
  const value = Buffer.from("v");
  await client.change("setxattr", {
    caller: root,
    ino: other,
    name: name("user.b"),
    value,
    flags: 0,
    clearSetgid: false,
  });
  const content = Buffer.from("content");
  await client.change("writeExtents", {
    ino: other,
    extents: [{ kind: "inline", offset: 0, length: 7, content }],
    ...{ epochs: [], size: 7, append: false, clearPrivileges: false },
  });
  const orphan = (await client.change("tmpfile", { caller: root, parent: rootIno, mode: 0o100600, umask: 0 }))
    .attributes.ino;
  return { cluster, client, all: requests({ file, other, orphan }) };
}

/** The reply without what is not remembered. */
function comparable(reply: object): object {
  return { ...reply, map: undefined, directories: undefined, leases: undefined };
}

test("every changing method that is sent again gets the same reply and changes nothing, also after a restart", async (t) => {
  const { cluster, client, all } = await prepared();
  let slot = 1;
  for (const [method, request] of Object.entries(all)) {
    const op = { slot: slot++, sequence: 1 };
    const send = (): Promise<object> => client.again(method as "create", request as Any, op);
    const first = comparable(await send());
    const index = cluster.store.lastIndex;
    t.deepEqual(comparable(await send()), first, `${method} again`);
    t.is(cluster.store.lastIndex, index, `${method} changed nothing`);
    await cluster.crash();
    await client.resume();
    t.deepEqual(comparable(await send()), first, `${method} after a restart`);
    const nodes = [1, 2].map((number) => TestNode.up(cluster, number));
    await Promise.all(nodes);
  }
  await cluster.stop();
});

test("every changing method is in the test above", async (t) => {
  const { cluster, all } = await prepared();
  const { nameServerMethods } = await import("../../src/protocol/name-server.ts");
  const changing = Object.entries(nameServerMethods)
    .filter(([, spec]) => {
      try {
        spec.request({});
        return false;
      } catch (error) {
        return /^op\b/.test((error as Error).message);
      }
    })
    .map(([method]) => method);
  t.deepEqual(Object.keys(all).sort(), changing.sort());
  await cluster.stop();
});

test("an error is remembered too, also over a restart", async (t) => {
  const cluster = await TestCluster.start();
  const client = await TestClient.open(cluster);
  const op = { slot: 0, sequence: 1 };
  const request = { caller: root, parent: rootIno, name: name("absent"), keep: false };
  await t.throwsAsync(client.again("unlink", request, op), errno("ENOENT"));
  await client.change("create", { ...creation, name: name("absent"), mode: 0o100644 }, 1);
  await t.throwsAsync(client.again("unlink", request, op), errno("ENOENT"));
  await cluster.crash();
  await client.resume();
  const error = await t.throwsAsync(client.again("unlink", request, op), errno("ENOENT"));
  t.is(error.message.match(/ENOENT/g)?.length, 1, "without the errno twice");
  t.truthy(await client.lookup("absent"));
  await cluster.stop();
});

test("requests that were sent at the same time join", async (t) => {
  const cluster = await TestCluster.start();
  const client = await TestClient.open(cluster);
  const op = { slot: 0, sequence: 1 };
  const send = (): Promise<object> => client.again("create", { ...creation, name: name("a"), mode: 0o100644 }, op);
  const replies = await Promise.all([send(), send(), send()]);
  for (const reply of replies) t.deepEqual(comparable(reply), comparable(replies[0]));
  t.deepEqual(
    replies.map((reply) => "leases" in reply),
    [true, false, false],
    "a lease is granted to who asked first",
  );
  await cluster.stop();
});

test("an older sequence, a gap, and another method under the same sequence are refused", async (t) => {
  const cluster = await TestCluster.start();
  const client = await TestClient.open(cluster);
  const mkdir = (text: string, sequence: number): Promise<unknown> =>
    client.again("mkdir", { ...creation, name: name(text), mode: 0o40755 }, { slot: 3, sequence });
  await mkdir("a", 1);
  await mkdir("b", 2);
  await t.throwsAsync(mkdir("a", 1), errno("ESTALE"));
  await t.throwsAsync(mkdir("c", 4), errno("EINVAL"));
  const other = client.again("create", { ...creation, name: name("b"), mode: 0o100644 }, { slot: 3, sequence: 2 });
  await t.throwsAsync(other, errno("EINVAL"));
  await mkdir("c", 3);
  await cluster.stop();
});

test("the next request of a slot waits for the one before", async (t) => {
  const cluster = await TestCluster.start();
  const client = await TestClient.open(cluster);
  const send = (text: string, sequence: number): Promise<unknown> =>
    client.again("create", { ...creation, name: name(text), mode: 0o100644 }, { slot: 0, sequence });
  await t.notThrowsAsync(Promise.all([send("a", 1), send("b", 2), send("c", 3)]));
  t.truthy(await client.lookup("c"));
  await cluster.stop();
});

test("an unknown exception inside an operation leaves no partial change and is told as EIO", async (t) => {
  const cluster = await TestCluster.start();
  const client = await TestClient.open(cluster);
  const before = cluster.store.get("i" + "\0".repeat(7) + "\u0001");
  const { store } = cluster;
  const get = store.get.bind(store);
  let reads = 0;
  store.get = (key) => {
    if (++reads > 2 && key.startsWith("i")) throw new RangeError("a defect");
    return get(key);
  };
  await t.throwsAsync(client.create("broken"), errno("EIO"));
  store.get = get;
  t.deepEqual(store.get("i" + "\0".repeat(7) + "\u0001"), before);
  t.is(await client.lookup("broken"), undefined);
  await cluster.stop();
});

test("64 creates at once share few journal records", async (t) => {
  const cluster = await TestCluster.start();
  const client = await TestClient.open(cluster);
  const before = cluster.store.statistics.records;
  await Promise.all(Array.from({ length: limits.sessionSlots }, (_, i) => client.create(`file-${String(i)}`, i)));
  const records = cluster.store.statistics.records - before;
  t.log(`${String(records)} records for ${String(limits.sessionSlots)} creates`);
  t.true(records <= limits.sessionSlots / 4);
  await cluster.stop();
});
