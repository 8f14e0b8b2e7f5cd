import test from "ava";
import type { NodeId } from "../../src/base/ids.ts";
import { checksum } from "../../src/base/checksum.ts";
import { seededRandom } from "../../src/base/random.ts";
import { origin, type Position } from "../../src/journal/position.ts";
import type { JournalRegister } from "../../src/protocol/journal-methods.ts";
import { FaultyDisk } from "../support/faulty-disk.ts";
import { begun, claim, cluster, record, TestKeeper } from "./journal-support.ts";

function freshDisk(seed = 1): FaultyDisk {
  return new FaultyDisk(seededRandom(seed));
}

test("records are appended in the order of their chain, and read back after a restart", async (t) => {
  const node = await TestKeeper.open(freshDisk());
  await node.begin();
  let end: Position = origin;
  for (let i = 0; i < 40; i++) {
    const first = record(end, "x".repeat(1_000 * (i % 5)));
    const second = record(first.end, "y", 2);
    end = await node.append(end, first, second);
  }
  t.is(end.index, 120);
  t.deepEqual(
    await node.indices(),
    Array.from({ length: 120 }, (_, i) => i + 1),
  );
  const again = await TestKeeper.open(node.disk.crash());
  t.deepEqual((await again.state()).copy?.end, end);
  t.deepEqual(
    await again.indices(77),
    Array.from({ length: 44 }, (_, i) => i + 77),
  );
  const next = record(end, "z");
  t.is((await again.append(end, next)).index, 121);
});

test("what does not continue the copy is refused, and what is not whole", async (t) => {
  const node = await TestKeeper.open(freshDisk());
  await node.begin();
  const one = record(origin, "1");
  await node.append(origin, one);
  const two = record(one.end, "2");
  await t.throwsAsync(node.append(origin, one), { message: /EINVAL/ });
  await t.throwsAsync(node.append(two.end, record(two.end, "3")), { message: /EINVAL/ });
  await t.throwsAsync(node.append({ ...one.end, crc: 7 }, record({ ...one.end, crc: 7 }, "other")), {
    message: /EINVAL/,
  });
  two.bytes[two.bytes.length - 1] = 9;
  await t.throwsAsync(node.append(one.end, two), { message: /EBADMSG/ });
  t.deepEqual((await node.state()).copy?.end, one.end);
  t.is(node.released, 8);
});

test("only name servers may ask, and only the one that was promised", async (t) => {
  const node = await TestKeeper.open(freshDisk());
  await node.begin();
  const calls: [string, object][] = [
    ["journalState", {}],
    ["raiseEpoch", { ...claim, cluster, address: null }],
    ["confirmEpoch", claim],
    ["putJournalBase", begun],
    ["appendJournal", { ...claim, after: origin }],
    ["readJournal", { ...claim, first: 1 }],
    ["readJournalBase", { ...claim, offset: 0, length: 1 }],
  ];
  for (const [method, request] of calls)
    for (const role of ["client", "storage-node", "admin"] as const)
      await t.throwsAsync(
        async () => node.call(method, request, undefined, role),
        { message: /EPERM/ },
        `${method} by ${role}`,
      );
  await node.raise(3, "00000000000000bb");
  const stale = { message: /ESTALE/ };
  for (const [method, request] of calls.slice(1))
    await t.throwsAsync(async () => node.call(method, request), stale, method);
  await t.throwsAsync(node.raise(2), stale);
  await t.throwsAsync(node.raise(3, claim.server), stale);
  const again = await TestKeeper.open(node.disk.crash());
  await t.throwsAsync(again.raise(2), stale);
  t.is((await again.state()).epoch, 3);
  t.deepEqual(await again.call("nameServerAddress", {}, undefined, "client"), { epoch: 3, address: null });
});

test("the register goes forward only", async (t) => {
  const node = await TestKeeper.open(freshDisk());
  await node.raise();
  const register: JournalRegister = { ...claim, generation: 4, members: [], nodes: [] };
  await node.call("storeRegister", { ...claim, register });
  await node.call("storeRegister", { ...claim, register });
  await t.throwsAsync(node.call("storeRegister", { ...claim, register: { ...register, generation: 3 } }), {
    message: /ESTALE/,
  });
  const other = { ...register, members: ["00000000000000ee" as NodeId] };
  await t.throwsAsync(node.call("storeRegister", { ...claim, register: other }), { message: /ESTALE/ });
  t.deepEqual((await (await TestKeeper.open(node.disk.crash())).state()).register, register);
});

test("a base comes in pieces, replaces the one before when it is whole, and what lies below it goes", async (t) => {
  const node = await TestKeeper.open(freshDisk());
  await node.begin();
  let end: Position = origin;
  const ends: Position[] = [];
  for (let i = 0; i < 60; i++) ends.push((end = await node.append(end, record(end, "x".repeat(3_000)))));
  const content = Buffer.from("a snapshot ".repeat(1_000));
  const base = { ...claim, base: ends[49] as Position, bytes: content.length, crc: checksum(content), start: null };
  await node.call("putJournalBase", { ...base, offset: 0 }, content.subarray(0, 5_000));
  await t.throwsAsync(node.call("putJournalBase", { ...base, offset: 4_000 }, content.subarray(4_000)), {
    message: /EINVAL/,
  });
  t.is((await node.state()).copy?.base.index, 0);
  await node.call("putJournalBase", { ...base, offset: 5_000 }, content.subarray(5_000));
  t.is((await node.state()).copy?.base.index, 50);
  const wrong = { ...base, base: ends[55] as Position, crc: 1, offset: 0 };
  await t.throwsAsync(node.call("putJournalBase", wrong, content), { message: /EBADMSG/ });
  const indices = await node.indices();
  t.true((indices[0] as number) > 30 && (indices[0] as number) <= 51, "files below are gone");
  t.is(indices.at(-1), 60);
  const again = await TestKeeper.open(node.disk.crash());
  t.deepEqual(await again.indices(51), [51, 52, 53, 54, 55, 56, 57, 58, 59, 60]);
  t.deepEqual(await again.call("readJournalBase", { ...claim, offset: 100, length: 50 }), content.subarray(100, 150));
  const beyond = { ...base, base: { ...end, index: 99 }, offset: 0 };
  await t.throwsAsync(again.call("putJournalBase", beyond, content), { message: /EINVAL/ });
});

test("a member's copy is never begun anew, and another one is", async (t) => {
  const node = await TestKeeper.open(freshDisk());
  await node.begin();
  const one = record(origin, "1");
  await node.append(origin, one);
  const { node: id } = await node.state();
  const register: JournalRegister = { ...claim, generation: 1, members: [id], nodes: [] };
  await node.call("storeRegister", { ...claim, register });
  await t.throwsAsync(node.call("putJournalBase", begun), { message: /EBUSY/ });
  await node.call("storeRegister", { ...claim, register: { ...register, generation: 2, members: [] } });
  const start = { first: 11, predecessor: 5 };
  await node.call("putJournalBase", { ...begun, start });
  t.deepEqual((await node.state()).copy?.end, { epoch: 0, index: 10, crc: 5 });
  t.deepEqual(await node.indices(), []);
});

test("damage of a member's copy is found at the next start: then there is none, and it is begun anew", async (t) => {
  for (const path of ["journal/0000000000000001.journal", "journal/0000000000000014.base"]) {
    const node = await TestKeeper.open(freshDisk());
    await node.begin();
    const members = [(await node.state()).node];
    await node.call("storeRegister", { ...claim, register: { ...claim, generation: 1, members, nodes: [] } });
    let end: Position = origin;
    for (let i = 0; i < 20; i++) end = await node.append(end, record(end, `value ${String(i)}`));
    const content = Buffer.from("a snapshot");
    const base = { ...claim, base: end, bytes: content.length, crc: checksum(content), start: null, offset: 0 };
    if (path.endsWith(".base")) await node.call("putJournalBase", base, content);
    else await node.append(end, record(end, "last"));
    const disk = node.disk.kill();
    const file = path.endsWith(".base")
      ? path
      : ((await disk.list("journal")).filter((name) => name.endsWith(".journal")).sort()[0] as string);
    disk.flip(file.includes("/") ? file : `journal/${file}`, path.endsWith(".base") ? 3 : 4_096 + 70);
    const again = await TestKeeper.open(disk);
    t.is((await again.state()).copy, null, path);
    await t.throwsAsync(again.append(end, record(end, "more")), { message: /ENOENT/ });
    await again.call("putJournalBase", begun);
    t.deepEqual((await again.state()).copy?.end, origin);
  }
});

test("a copy that catches up goes on from where it is whole, whatever a crash left of records written at once", async (t) => {
  const node = await TestKeeper.open(freshDisk());
  await node.begin();
  const records: { bytes: Buffer; end: Position }[] = [];
  for (let end: Position = origin; records.length < 6; end = records.at(-1)?.end ?? origin)
    records.push(record(end, `value ${String(records.length)}`));
  const [first, second] = records as [(typeof records)[0], (typeof records)[0]];
  await node.append(origin, first);
  await node.append(first.end, ...records.slice(1));
  const disk = node.disk.kill();
  const files = (await disk.list("journal")).filter((name) => name.endsWith(".journal")).sort();
  // The third record, the second one of the file, is torn; those behind it are whole.
  disk.flip(`journal/${files.at(-1) ?? ""}`, 2 * 4_096 + 70);
  const again = await TestKeeper.open(disk);
  t.deepEqual((await again.state()).copy?.end, second.end);
  await again.append(second.end, ...records.slice(2));
  t.deepEqual(await again.indices(), [1, 2, 3, 4, 5, 6]);
  const { copy } = await (await TestKeeper.open(again.disk.crash())).state();
  t.deepEqual(copy?.end, records.at(-1)?.end);
});

test("a register with a flipped bit anywhere stops the node: it does not know what it has promised", async (t) => {
  const node = await TestKeeper.open(freshDisk());
  await node.raise(7);
  const size = node.disk.bytesOf("register.json").length;
  for (let at = 0; at < size - 1; at++) {
    const disk = node.disk.kill();
    disk.flip("register.json", at);
    const opened = TestKeeper.open(disk);
    await t.throwsAsync(opened, { message: /register\.json is damaged: .*give it an empty folder/ }, String(at));
    disk.flip("register.json", at);
  }
  t.is((await (await TestKeeper.open(node.disk.kill())).state()).epoch, 7);
});

test("flipped bits in the prepared file are never read as records", async (t) => {
  const node = await TestKeeper.open(freshDisk(), 16 * 1024);
  await node.begin();
  let end: Position = origin;
  let spares = 0;
  for (let i = 1; i <= 40; i++) {
    end = await node.append(end, record(end, "x".repeat(1_000)));
    if (!(await node.disk.exists("journal/spare"))) continue;
    spares += 1;
    const bytes = node.disk.bytesOf("journal/spare");
    for (let at = 0; at < bytes.length; at += 4_096) node.disk.flip("journal/spare", at + (i % 600));
  }
  t.true(spares > 5);
  const again = await TestKeeper.open(node.disk.crash(), 16 * 1024);
  t.deepEqual((await again.state()).copy?.end, end);
  t.deepEqual(
    await again.indices(),
    Array.from({ length: 40 }, (_, i) => i + 1),
  );
});

test("an error of the disk ends it; a full disk refuses and goes on", async (t) => {
  const node = await TestKeeper.open(freshDisk(), 64 * 1024);
  await node.begin();
  let end: Position = origin;
  const sum = async (): Promise<number> => {
    const names = await node.disk.list("journal");
    return names.reduce((bytes, name) => bytes + node.disk.bytesOf(`journal/${name}`).length, 4_096);
  };
  node.disk.capacity = await sum();
  await t.throwsAsync(
    async () => {
      for (let i = 0; i < 100; i++) end = await node.append(end, record(end, "x".repeat(5_000)));
    },
    { message: /ENOSPC/ },
  );
  node.disk.capacity = Infinity;
  const { copy } = await node.state();
  end = await node.append(copy?.end as Position, record(copy?.end as Position, "there is room again"));
  node.disk.fail("write", "EIO");
  await t.throwsAsync(node.append(end, record(end, "lost")), { message: /EIO/ });
  await t.throwsAsync(node.keeper.failed, { message: /EIO/ });
  await t.throwsAsync(node.state(), { message: /EIO/ });
});

test("after a loss of power at any moment everything that was answered is there", async (t) => {
  for (let cut = 1, wasCut = true; wasCut; cut++) {
    const disk = freshDisk(cut);
    let promised = 0;
    let acknowledged: Position | undefined;
    let basis = -1;
    disk.crashAfter(cut);
    wasCut = false;
    try {
      const node = await TestKeeper.open(disk, 16 * 1024);
      await node.raise();
      promised = 1;
      await node.call("putJournalBase", begun);
      basis = 0;
      acknowledged = origin;
      for (let i = 0; i < 6; i++) {
        // One at a time, as a member gets them.
        acknowledged = await node.append(acknowledged, record(acknowledged, "x".repeat(i * 1_000)));
        acknowledged = await node.append(acknowledged, record(acknowledged, "y", 2));
        if (i !== 3) continue;
        const content = Buffer.from("a snapshot");
        const base = {
          ...claim,
          base: acknowledged,
          bytes: content.length,
          crc: checksum(content),
          offset: 0,
          start: null,
        };
        await node.call("putJournalBase", base, content);
        basis = acknowledged.index;
      }
    } catch {
      wasCut = true;
    }
    const again = await TestKeeper.open(disk.crash(), 16 * 1024);
    const state = await again.state();
    t.true(state.epoch >= promised, `cut at ${String(cut)}`);
    if (acknowledged === undefined) continue;
    t.true((state.copy?.base.index ?? -2) >= basis, `the base at cut ${String(cut)}`);
    t.true((state.copy?.end.index ?? -2) >= acknowledged.index, `the tail at cut ${String(cut)}`);
    const first = (state.copy?.base.index ?? 0) + 1;
    const wanted = Array.from({ length: (state.copy?.end.index ?? 0) - first + 1 }, (_, i) => first + i);
    t.deepEqual(await again.indices(first), wanted);
    const end = state.copy?.end as Position;
    t.is((await again.append(end, record(end, "on it goes"))).index, end.index + 1);
  }
});
