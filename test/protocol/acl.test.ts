import test from "ava";
import { FsError } from "../../src/base/errno.ts";
import { aclAfterChmod, decodeAcl, encodeAcl, inheritAcl, isModeOnly, modeOfAcl } from "../../src/protocol/acl.ts";

const none = "ffffffff";
/** One entry, as its bytes in hex: tag, permissions, id. */
const entries = {
  owner: (bits: number) => `0100${byte(bits)}${none}`,
  user: (bits: number, id: string) => `0200${byte(bits)}${id}`,
  group: (bits: number) => `0400${byte(bits)}${none}`,
  named: (bits: number, id: string) => `0800${byte(bits)}${id}`,
  mask: (bits: number) => `1000${byte(bits)}${none}`,
  other: (bits: number) => `2000${byte(bits)}${none}`,
};
function byte(value: number): string {
  return value.toString(16).padStart(2, "0") + "00";
}
function hex(...parts: string[]): Buffer {
  return Buffer.from("02000000" + parts.join(""), "hex");
}
const { owner, user, group, named, mask, other } = entries;
const full = hex(owner(7), user(6, "e8030000"), user(5, "e9030000"), group(5), named(7, "d0070000"), mask(6), other(1));

test("an ACL goes through its bytes and back", (t) => {
  const acl = decodeAcl(full);
  t.is(acl?.length, 7);
  t.deepEqual(acl?.[1], { tag: 2, permissions: 6, id: 1000 });
  t.true(encodeAcl(acl ?? []).equals(full));
  t.is(decodeAcl(Buffer.alloc(0)), null);
  t.is(decodeAcl(hex()), null);
});

test("an ACL cut at any length, out of order or incomplete is refused", (t) => {
  const errno = (bytes: Buffer): string => {
    const error = t.throws(() => decodeAcl(bytes), { instanceOf: FsError });
    return error.errno;
  };
  for (let length = 1; length < full.length; length++) {
    if (length !== 4) t.is(errno(full.subarray(0, length)), "EINVAL", `length ${String(length)}`);
  }
  t.is(errno(hex(owner(8), group(0), other(0))), "EINVAL");
  t.is(errno(hex(group(0), owner(7), other(0))), "EINVAL");
  t.is(errno(hex(owner(7), owner(7), group(0), other(0))), "EINVAL");
  t.is(errno(hex(owner(7), user(7, "e8030000"), group(0), other(0))), "EINVAL");
  t.is(errno(hex(owner(7), user(7, none), group(0), mask(7), other(0))), "EINVAL");
  t.is(errno(hex(owner(7), group(0), "4000" + byte(1) + none, other(0))), "EINVAL");
  t.is(errno(Buffer.concat([Buffer.from("01000000", "hex"), full.subarray(4)])), "EOPNOTSUPP");
});

test("the mode shows the mask as its group bits", (t) => {
  const acl = decodeAcl(full) ?? [];
  t.is(modeOfAcl(acl), 0o761);
  t.false(isModeOnly(acl));
  const plain = decodeAcl(hex(owner(6), group(4), other(0))) ?? [];
  t.is(modeOfAcl(plain), 0o640);
  t.true(isModeOnly(plain));
});

test("chmod changes owner, mask and other; without a mask the group", (t) => {
  const acl = decodeAcl(full) ?? [];
  const changed = aclAfterChmod(acl, 0o614);
  t.is(modeOfAcl(changed), 0o614);
  t.is(changed.find(({ tag }) => tag === 4)?.permissions, 5);
  t.is(modeOfAcl(aclAfterChmod(decodeAcl(hex(owner(7), group(7), other(7))) ?? [], 0o123)), 0o123);
});

test("inheritance permits what both the default ACL and the creating mode permit", (t) => {
  const { acl, mode } = inheritAcl(decodeAcl(full) ?? [], 0o100666);
  t.is(mode, 0o100660);
  t.is(acl.find(({ tag }) => tag === 16)?.permissions, 6);
  t.is(acl.find(({ tag, id }) => tag === 2 && id === 1000)?.permissions, 6);
});
