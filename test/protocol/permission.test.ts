import test from "ava";
import { decodeAcl } from "../../src/protocol/acl.ts";
import {
  access,
  inheritGroup,
  isStuck,
  modeAfterChmod,
  modeWithoutPrivileges,
  permits,
  refuseChanges,
  type Guarded,
  type Identity,
} from "../../src/protocol/permission.ts";

const { read, write, execute } = access;
const root: Identity = { uid: 0, gid: 0 };
const owner: Identity = { uid: 1, gid: 10, groups: [20] };
const member: Identity = { uid: 2, gid: 30, groups: [10, 40] };
const stranger: Identity = { uid: 3, gid: 50, groups: [] };
const file = (mode: number): Guarded => ({ mode: 0o100000 | mode, uid: 1, gid: 10 });

test("the first class that fits decides, even against the caller", (t) => {
  const cases: [Identity, number, number, boolean][] = [
    [owner, 0o400, read, true],
    [owner, 0o077, read, false],
    [owner, 0o700, read | write | execute, true],
    [member, 0o040, read, true],
    [member, 0o707, read, false],
    [member, 0o020, read | write, false],
    [stranger, 0o004, read, true],
    [stranger, 0o770, read, false],
    [stranger, 0o000, 0, true],
    [{ uid: 2, gid: 30 }, 0o040, read, false],
  ];
  for (const [who, mode, want, expected] of cases) {
    t.is(permits(who, file(mode), want), expected, `${String(who.uid)} ${mode.toString(8)} ${String(want)}`);
  }
});

test("root reads and writes everything, executes what anybody may, and searches every directory", (t) => {
  t.true(permits(root, file(0), read | write));
  t.false(permits(root, file(0o666), execute));
  t.true(permits(root, file(0o010), read | write | execute));
  t.true(permits(root, { mode: 0o40000, uid: 1, gid: 1 }, read | write | execute));
});

test("an ACL decides for all but the owner: named users, then groups, within the mask", (t) => {
  // owner rwx, user 2 rw-, group r--, group 40 -w-, group 50 r-x, mask, other r--
  const bytes = (mask: number): Buffer =>
    Buffer.from(
      "02000000" +
        "01000700ffffffff" +
        "0200060002000000" +
        "04000400ffffffff" +
        "0800020028000000" +
        "0800050032000000" +
        `10000${String(mask)}00ffffffff` +
        "20000400ffffffff",
      "hex",
    );
  const may = (who: Identity, want: number, mask = 7): boolean =>
    permits(who, file(0o774), want, () => decodeAcl(bytes(mask)));
  t.true(may(owner, read | write | execute, 0));
  t.true(may(member, read | write));
  t.false(may(member, execute));
  t.false(may(member, write, 4));
  const two: Identity = { uid: 9, gid: 10, groups: [40] };
  t.true(may(two, read) && may(two, write));
  t.false(may(two, read | write));
  t.true(may(stranger, read | execute));
  t.false(may(stranger, write));
  t.true(may({ uid: 9, gid: 9, groups: [] }, read));
  t.false(may({ uid: 9, gid: 9, groups: [] }, write));
  t.false(may({ uid: 9, gid: 40, groups: [] }, read));
});

test("an ACL is not even looked at while the mode's group bits are empty", (t) => {
  const acl = (): never => t.fail();
  t.false(permits(member, file(0o707), read, acl));
  t.true(permits(stranger, file(0o707), read, acl));
});

test("a sticky directory protects other people's entries", (t) => {
  const directory = { mode: 0o41777, uid: 1, gid: 1 };
  const victim = { mode: 0o100644, uid: 2, gid: 2 };
  t.true(isStuck(stranger, directory, victim));
  for (const who of [root, owner, member]) t.false(isStuck(who, directory, victim));
  t.false(isStuck(stranger, { ...directory, mode: 0o40777 }, victim));
});

test("setgid directories hand down group and, to directories, the bit", (t) => {
  const directory = { mode: 0o42775, uid: 1, gid: 40 };
  t.deepEqual(inheritGroup(stranger, { ...directory, mode: 0o40775 }, 0o102755), { gid: 50, mode: 0o102755 });
  t.deepEqual(inheritGroup(stranger, directory, 0o40755), { gid: 40, mode: 0o42755 });
  t.deepEqual(inheritGroup(stranger, directory, 0o102755), { gid: 40, mode: 0o100755 });
  t.deepEqual(inheritGroup(member, directory, 0o102755), { gid: 40, mode: 0o102755 });
  t.deepEqual(inheritGroup(root, directory, 0o102755), { gid: 40, mode: 0o102755 });
});

test("what chmod, chown and writing leave of setuid and setgid", (t) => {
  t.is(modeAfterChmod(owner, file(0o644), 0o6755), 0o106755);
  t.is(modeAfterChmod(stranger, file(0o644), 0o6755), 0o104755);
  t.is(modeWithoutPrivileges(root, file(0o6755)), 0o100755);
  t.is(modeWithoutPrivileges(root, file(0o6745)), 0o102745);
  t.is(modeWithoutPrivileges(owner, file(0o6745)), 0o102745);
  t.is(modeWithoutPrivileges(stranger, file(0o6745)), 0o100745);
  t.is(modeWithoutPrivileges(stranger, { ...file(0), mode: 0o46755 }), 0o46755);
});

test("who may change which attribute", (t) => {
  const may = (who: Identity, changes: Parameters<typeof refuseChanges>[2], writable = false): string | undefined =>
    refuseChanges(who, file(0o644), changes, () => writable);
  t.is(may(owner, { mode: 0 }), undefined);
  t.is(may(stranger, { mode: 0 }), "EPERM");
  t.is(may(owner, { uid: 1 }), undefined);
  t.is(may(owner, { uid: 2 }), "EPERM");
  t.is(may(root, { uid: 2, gid: 99 }), undefined);
  t.is(may(owner, { gid: 20 }), undefined);
  t.is(may(owner, { gid: 99 }), "EPERM");
  t.is(may({ uid: 1, gid: 99 }, { gid: 10 }), undefined);
  t.is(may(stranger, { gid: 10 }), "EPERM");
  t.is(may(stranger, { size: 1 }), "EACCES");
  t.is(may(stranger, { size: 1 }, true), undefined);
  t.is(may(stranger, { size: 1, fromOpenFile: true }), undefined);
  t.is(may(stranger, { size: 1, mtime: "now" }, true), undefined);
  t.is(may(stranger, { atime: "now", mtime: "now" }, true), undefined);
  t.is(may(stranger, { atime: "now", mtime: "now" }), "EACCES");
  t.is(may(stranger, { atime: "now" }, true), "EPERM");
  t.is(may(stranger, { atime: 1n, mtime: "now" }, true), "EPERM");
  t.is(may(owner, { atime: 1n, mtime: 2n }), undefined);
});
