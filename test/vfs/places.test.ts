/** Directories that somebody else moved: the kernel must let go of its old name for them. */
import test from "ava";
import { rootIno, type Ino } from "../../src/base/ids.ts";
import type { Operations } from "../../src/fuse/operations.ts";
import { renameFlags } from "../../src/fuse/operations.ts";
import { createFile, fakeMount, from, lookup, name, type FakeMount } from "./mount.ts";

interface Folders extends FakeMount {
  readonly one: Ino;
  readonly other: Ino;
}

/** Two directories, each in the other's sight, while there is another session. */
async function folders(): Promise<Folders> {
  const mount = await fakeMount({ grants: false });
  const [one, other] = await Promise.all([makeFolder(mount.operations, "one"), makeFolder(mount.operations, "other")]);
  return { ...mount, one, other };
}

async function makeFolder(operations: Operations, text: string, parent = rootIno): Promise<Ino> {
  const { attributes } = await operations.mkdir(from(), parent, name(text), { mode: 0o755, umask: 0 });
  return attributes.ino;
}

/** As another client does it. */
async function moveElsewhere(server: FakeMount["server"], at: [Ino, string], to: [Ino, string]): Promise<void> {
  await server.asNameServer.change("rename", {
    caller: { uid: 0, gid: 0 },
    parent: at[0],
    name: name(at[1]),
    newParent: to[0],
    newName: name(to[1]),
    flags: 0,
    keep: true,
  });
}

test("a directory that another client moved is dropped from its old place when it is seen at the new one", async (t) => {
  const { operations, server, notifier, one, other } = await folders();
  await makeFolder(operations, "moved", one);
  await moveElsewhere(server, [one, "moved"], [other, "moved"]);
  await lookup(operations, "moved", other);
  t.deepEqual(notifier.sent, [`entry ${String(one)} moved`]);
  await lookup(operations, "moved", other);
  t.is(notifier.sent.length, 1);
});

test("what a listing shows at a new place is dropped from the old one too", async (t) => {
  const { operations, server, notifier, one, other } = await folders();
  await makeFolder(operations, "moved", one);
  await moveElsewhere(server, [one, "moved"], [other, "here"]);
  const { handle } = await operations.opendir(from(), other, 0);
  await operations.readdir(from(), other, handle, 0, true, () => true);
  t.deepEqual(notifier.sent, [`entry ${String(one)} moved`]);
});

test("a directory that keeps its parent, or that this client moved, is left alone", async (t) => {
  const { operations, server, notifier, one, other } = await folders();
  await makeFolder(operations, "moved", one);
  await moveElsewhere(server, [one, "moved"], [one, "renamed"]);
  await lookup(operations, "renamed", one);
  await operations.rename(from(), one, name("renamed"), other, name("mine"), renameFlags.noReplace);
  await lookup(operations, "mine", other);
  t.deepEqual(notifier.sent, []);
});

test("a file may have many names: nothing is dropped", async (t) => {
  const { operations, server, notifier, one, other } = await folders();
  await createFile(operations, "file", { parent: one });
  await moveElsewhere(server, [one, "file"], [other, "file"]);
  await lookup(operations, "file", other);
  t.false(notifier.sent.some((line) => line.startsWith("entry ")));
});
