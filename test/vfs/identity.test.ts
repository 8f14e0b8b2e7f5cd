/** Supplementary groups: asked of /proc only after a refusal, and known for the next time. */
import test from "ava";
import { FsError } from "../../src/base/errno.ts";
import { limits } from "../../src/base/limits.ts";
import { createIdentity, groupsOfStatus } from "../../src/vfs/identity.ts";
import type { CallerIdentity } from "../../src/protocol/types.ts";

const user = { uid: 1000, gid: 1000, pid: 42 };

function member(group: number): { calls: CallerIdentity[]; call: (caller: CallerIdentity) => Promise<string> } {
  const calls: CallerIdentity[] = [];
  return {
    calls,
    call(caller) {
      calls.push(caller);
      if (caller.groups?.includes(group) === true) return Promise.resolve("done");
      return Promise.reject(new FsError("EACCES", "not a member"));
    },
  };
}

test("a refused call is made once more with the groups, and the next one has them from the start", async (t) => {
  let reads = 0;
  const identity = createIdentity(() => {
    reads++;
    return Promise.resolve([7, 8]);
  });
  const { calls, call } = member(8);
  t.is(await identity.as(user, call), "done");
  t.is(calls.length, 2);
  t.is(await identity.as(user, call), "done");
  t.is(calls.length, 3);
  t.is(reads, 2);
});

test("that somebody has no further groups is told too: unknown groups are refused where none would not be", async (t) => {
  const identity = createIdentity(() => Promise.resolve([]));
  const { calls, call } = member(8);
  await t.throwsAsync(identity.as(user, call), { message: /EACCES/ });
  t.deepEqual(
    calls.map(({ groups }) => groups),
    [undefined, []],
  );
});

test("root, unknown processes and other errors are not asked about", async (t) => {
  const identity = createIdentity(() => Promise.reject(new Error("asked")));
  const { call } = member(8);
  await t.throwsAsync(identity.as({ uid: 0, gid: 0, pid: 1 }, call), { message: /EACCES/ });
  await t.throwsAsync(identity.as({ ...user, pid: 0 }, call), { message: /EACCES/ });
  const failing = identity.as(user, () => Promise.reject(new FsError("ENOSPC", "full")));
  await t.throwsAsync(failing, { message: /ENOSPC/ });
});

test("the directory's group that the kernel told is passed on", async (t) => {
  const identity = createIdentity(() => Promise.resolve([]));
  const caller = await identity.as({ ...user, parentGroup: 8 }, (given) => Promise.resolve(given));
  t.deepEqual(caller, { uid: 1000, gid: 1000, groups: [8] });
});

test("remembered processes are bounded", async (t) => {
  const identity = createIdentity(() => Promise.resolve([8]));
  for (let pid = 1; pid <= limits.clientGroupedProcessesMax + 1; pid++) {
    await identity.as({ ...user, pid }, member(8).call);
  }
  const first = member(8);
  await identity.as({ ...user, pid: 1 }, first.call);
  t.is(first.calls.length, 2);
  const last = member(8);
  await identity.as({ ...user, pid: limits.clientGroupedProcessesMax + 1 }, last.call);
  t.is(last.calls.length, 1);
});

test("groups are read from the line of /proc/PID/status", (t) => {
  t.deepEqual(groupsOfStatus("Name:\tcat\nGroups:\t4 24 1000 \nVmPeak:\t1\n"), [4, 24, 1000]);
  t.deepEqual(groupsOfStatus("Groups:\t \n"), []);
  t.deepEqual(groupsOfStatus(""), []);
});
