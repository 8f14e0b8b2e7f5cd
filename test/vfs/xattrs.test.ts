/** Extended attributes: no message where the attributes say that there are none, and none believed after a change. */
import test from "ava";
import { rootIno } from "../../src/base/ids.ts";
import { createFile, fakeMount, from, lookup, name, writing } from "./mount.ts";

const capability = name("security.capability");

test("an inode without xattrs answers by itself", async (t) => {
  const { operations, server } = await fakeMount();
  const { entry } = await createFile(operations, "file");
  const ino = entry.attributes.ino;
  server.takeMethods();
  t.is(operations.getxattr(from(), ino, capability), undefined);
  t.deepEqual(operations.listxattr(from(), ino), []);
  t.deepEqual(server.takeMethods(), []);
});

test("a name that no inode can have is refused by itself, also where there are none", async (t) => {
  const { operations } = await fakeMount();
  const { entry } = await createFile(operations, "file");
  const ino = entry.attributes.ino;
  t.throws(() => operations.getxattr(from(), ino, name("unknown.u")), { message: /^EOPNOTSUPP/ });
  t.throws(() => operations.getxattr(from(), ino, name("user.")), { message: /^EINVAL/ });
});

test("without a lease it is asked", async (t) => {
  const { operations, server } = await fakeMount({ grants: false });
  const { entry } = await createFile(operations, "file");
  server.takeMethods();
  t.is(await operations.getxattr(from(), entry.attributes.ino, capability), undefined);
  t.deepEqual(server.takeMethods(), ["getxattr"]);
});

test("values and absences are remembered until a change", async (t) => {
  const { operations, server } = await fakeMount();
  const { entry } = await createFile(operations, "file");
  const ino = entry.attributes.ino;
  const user = name("user.color");
  await operations.setxattr(from(), ino, user, Buffer.from("red"), 0, false);
  t.is((await operations.getxattr(from(), ino, user))?.toString(), "red");
  t.is(await operations.getxattr(from(), ino, capability), undefined);
  server.takeMethods();
  t.is((await operations.getxattr(from(), ino, user))?.toString(), "red");
  t.is(operations.getxattr(from(), ino, capability), undefined);
  t.deepEqual(server.takeMethods(), []);
  await operations.setxattr(from(), ino, user, Buffer.from("blue"), 0, false);
  t.is((await operations.getxattr(from(), ino, user))?.toString(), "blue");
  t.deepEqual(await operations.listxattr(from(), ino), [user]);
  await operations.removexattr(from(), ino, user);
  server.takeMethods();
  t.is(operations.getxattr(from(), ino, user), undefined);
  t.deepEqual(server.takeMethods(), []);
});

test("an ACL that changes the mode shows at once", async (t) => {
  const { operations, server } = await fakeMount();
  const { entry } = await createFile(operations, "file");
  const ino = entry.attributes.ino;
  server.script("setxattr", () => ({ attributes: server.changed(ino, { mode: 0o100770, hasXattrs: true }) }));
  await operations.setxattr(from(), ino, name("system.posix_acl_access"), Buffer.from("acl"), 0, false);
  server.takeMethods();
  t.is((await lookup(operations, "file")).attributes.mode, 0o100770);
  t.deepEqual(server.takeMethods(), []);
});

test("file capabilities are asked and set only behind a write that takes them away", async (t) => {
  const { operations, contents } = await fakeMount();
  const { entry, opened } = await createFile(operations, "tool");
  const ino = entry.attributes.ino;
  await operations.setxattr(from(), ino, name("user.a"), Buffer.from("x"), 0, false);
  await operations.write(from(), ino, opened.handle, 0, Buffer.from("x"), writing);
  t.is(await operations.getxattr(from(), ino, capability), undefined);
  t.false(contents.files.get(ino)?.isDirty);
  await operations.write(from(), ino, opened.handle, 0, Buffer.from("y"), writing);
  await operations.setxattr(from(), ino, capability, Buffer.from("caps"), 0, false);
  t.false(contents.files.get(ino)?.isDirty);
});

test("a value beyond 64 KiB is E2BIG", async (t) => {
  const { operations } = await fakeMount();
  const value = Buffer.alloc(65_537);
  await t.throwsAsync(async () => operations.setxattr(from(), rootIno, name("user.a"), value, 0, false), {
    message: /^E2BIG/,
  });
});
