/** Random steps of several users in a few directories (ahead-steps.ts). */
import fc from "fast-check";
import { aclXattrs, encodeAcl } from "../../src/protocol/acl.ts";
import type { Step, Who } from "./ahead-steps.ts";

export const root: Who = { uid: 0, gid: 0, pid: 1, groups: [] };
export const user: Who = { uid: 1000, gid: 1000, pid: 2, groups: [] };
const people: readonly Who[] = [
  root,
  user,
  { uid: 1000, gid: 1000, pid: 3, groups: [50, 0] },
  { uid: 1001, gid: 50, pid: 4, groups: [1000] },
];
export const readGroups = (pid: number): Promise<readonly number[]> =>
  Promise.resolve(people.find((one) => one.pid === pid)?.groups ?? []);
const who = fc.constantFrom(root, ...people);
const folders = ["", "", "/d", "/d", "/d/e", "/s", "/a", "/d/b"];
const path = fc
  .tuple(fc.constantFrom(...folders), fc.constantFrom("a", "b", "c", "d", "e", "f", "g", "s"))
  .map(([folder, last]) => `${folder}/${last}`);
const mode = fc.constantFrom(0o644, 0o600, 0o755, 0o777, 0o2755, 0o2775, 0o4755, 0o1777, 0o3777, 0o2745, 0o000);
const umask = fc.constantFrom(0, 0o022, 0o077);
const time = fc.constantFrom("now" as const, 5n, 1_000_000_000n, 123_456_789_012n);
const owner = fc.constantFrom(0, 50, 1000, 1001);

const changes = fc.oneof(
  fc.record({ mode }),
  fc.record({ uid: owner, gid: owner }, { requiredKeys: [] }),
  fc.record({ atime: time, mtime: time }, { requiredKeys: [] }),
  fc.record({ mode, uid: owner, mtime: time }),
  fc.record({ size: fc.constantFrom(0, 10, 70_000) }),
);

export const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("create" as const), who, path, mode, umask }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("mkdir" as const), who, path, mode, umask }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("symlink" as const), who, path, target: fc.constantFrom("x", "a/b") }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("link" as const), who, path, to: path }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("unlink" as const), who, path }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("rmdir" as const), who, path }) },
  {
    weight: 5,
    arbitrary: fc.record({
      ...{ kind: fc.constant("rename" as const), who, path, to: path },
      flags: fc.constantFrom(0, 0, 0, 1, 2),
    }),
  },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("setattr" as const), who, path, changes }) },
  {
    weight: 3,
    arbitrary: fc.record({
      ...{ kind: fc.constant("write" as const), who: fc.constantFrom(root, user), path },
      offset: fc.constantFrom(0, 100, 5_000),
      bytes: fc.constantFrom(1, 300, 40_000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("hold" as const), who: fc.constant(root), path }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("close" as const), who: fc.constant(root) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      ...{ kind: fc.constant("setxattr" as const), who: fc.constant(root), path },
      xattr: fc.constantFrom("user.x", aclXattrs.default),
      value: fc.constant(
        encodeAcl([
          { tag: 1, permissions: 7, id: 0xffff_ffff },
          { tag: 2, permissions: 7, id: 1001 },
          { tag: 4, permissions: 5, id: 0xffff_ffff },
          { tag: 16, permissions: 7, id: 0xffff_ffff },
          { tag: 32, permissions: 0, id: 0xffff_ffff },
        ]),
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("list" as const), who: fc.constant(root), path }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("sync" as const), who: fc.constant(root) }) },
);
