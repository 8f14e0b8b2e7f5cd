/** A storage node's copy of the journal on a full disk: nothing is lost, nothing ends, and it goes on when there is room. */
import test from "ava";
import { checksum } from "../../src/base/checksum.ts";
import { seededRandom } from "../../src/base/random.ts";
import { origin, type Position } from "../../src/journal/position.ts";
import { FaultyDisk } from "../support/faulty-disk.ts";
import { claim, record, TestKeeper } from "./journal-support.ts";

function freshDisk(seed = 1): FaultyDisk {
  return new FaultyDisk(seededRandom(seed));
}

for (const seed of [1, 2, 3, 4]) {
  test(`with a full disk a node starts, keeps what it was answered for, refuses more, and goes on when there is room (${String(seed)})`, async (t) => {
    const fileBytes = 256 * 1024;
    const [node, other] = [
      await TestKeeper.open(freshDisk(seed), fileBytes),
      await TestKeeper.open(freshDisk(), fileBytes),
    ];
    await Promise.all([node.begin(), other.begin()]);
    let end: Position = origin;
    for (let i = 0; i < 10; i++) {
      const next = record(end, "x".repeat(i * 900));
      await other.append(end, next);
      // Of the last one it dies when it is in the kernel, and not on the disk.
      if (i < 9) await node.append(end, next);
      end = next.end;
    }
    const [newest] = node.disk
      .files("journal")
      .sort()
      .reverse()
      .filter((path) => path.endsWith(".journal")) as [string];
    const file = await node.disk.open(newest, "open");
    await file.write([other.disk.bytesOf(newest)], 0);
    if (node.disk.has("journal/spare")) await node.disk.remove("journal/spare");

    let again = node;
    const all = Array.from({ length: 10 }, (_, i) => i + 1);
    for (const how of ["kill", "crash", "kill"] as const) {
      const disk = again.disk[how]();
      disk.capacity = disk.usedBytes;
      again = await TestKeeper.open(disk);
      t.deepEqual((await again.state()).copy?.end, end, how);
      t.deepEqual(await again.indices(), all, how);
      await t.throwsAsync(again.append(end, record(end, "no room")), { message: /ENOSPC/ });
      t.deepEqual((await again.state()).copy?.end, end, how);
    }
    const content = Buffer.from("a snapshot");
    const base = { base: { ...end, index: 5 }, bytes: content.length, crc: checksum(content), offset: 0, start: null };
    await t.throwsAsync(again.call("putJournalBase", { ...claim, ...base }, content), { message: /ENOSPC/ });
    t.false(again.disk.has("journal/partial"), "what does not fit takes no room");

    again.disk.capacity = Infinity;
    end = await again.append(end, record(end, "on it goes"));
    again = await TestKeeper.open(again.disk.crash());
    t.deepEqual((await again.state()).copy?.end, end);
    t.deepEqual(await again.indices(), [...all, 11]);
  });
}

test("a record that finds no room counts as little as if it had not come", async (t) => {
  const node = await TestKeeper.open(freshDisk(), 16 * 1024);
  await node.begin();
  node.disk.capacity = node.disk.usedBytes + 8_192;
  // Larger than a file: it makes the one that it gets grow.
  const large = record(origin, "1".repeat(60_000));
  await t.throwsAsync(node.append(origin, large), { message: /ENOSPC/ });
  t.deepEqual((await node.state()).copy?.end, origin);
  t.deepEqual(await node.indices(), []);
  node.disk.capacity = Infinity;
  t.deepEqual(await node.append(origin, large), large.end);
  t.deepEqual(await (await TestKeeper.open(node.disk.crash(), 16 * 1024)).indices(), [1]);
});
