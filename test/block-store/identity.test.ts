import test from "ava";
import type { ClusterId } from "../../src/base/ids.ts";
import { seededRandom } from "../../src/base/random.ts";
import { openIdentity } from "../../src/block-store/identity.ts";
import { FaultyDisk } from "../support/faulty-disk.ts";
import { rejectsWith } from "./support.ts";

const mine = "00000000000000cc" as ClusterId;
const other = "00000000000000dd" as ClusterId;

test("a node keeps its id, cluster and epoch through crashes", async (t) => {
  const random = seededRandom(1);
  let disk = new FaultyDisk(random);
  const { node, cluster, epoch } = await openIdentity(disk, random);
  t.regex(node, /^[0-9a-f]{16}$/);
  t.deepEqual([cluster, epoch], [null, 0]);
  disk = disk.crash();
  const again = await openIdentity(disk, random);
  t.is(again.node, node);
  await again.adopt(mine);
  await again.obey(4);
  disk = disk.crash();
  const last = await openIdentity(disk, random);
  t.deepEqual([last.node, last.cluster, last.epoch], [node, mine, 4]);
});

test("a node refuses another cluster and older epochs", async (t) => {
  const identity = await openIdentity(new FaultyDisk(), seededRandom(1));
  await Promise.all([identity.adopt(mine), identity.adopt(mine), identity.obey(7)]);
  await rejectsWith(t, "EPERM", identity.adopt(other));
  await rejectsWith(t, "ESTALE", identity.obey(6));
  await identity.obey(7);
  t.deepEqual([identity.cluster, identity.epoch], [mine, 7]);
});

test("a damaged identity stops the node instead of making another", async (t) => {
  const disk = new FaultyDisk();
  await openIdentity(disk, seededRandom(1));
  const size = disk.bytesOf("node.json").length;
  for (let at = 0; at < size - 1; at++) {
    disk.flip("node.json", at);
    await rejectsWith(t, "EIO", openIdentity(disk, seededRandom(2)));
    disk.flip("node.json", at);
  }
  t.pass();
});

test("a failed change leaves what was", async (t) => {
  const disk = new FaultyDisk();
  const identity = await openIdentity(disk, seededRandom(1));
  disk.fault = (call) => (call === "sync" ? "ENOSPC" : undefined);
  await rejectsWith(t, "ENOSPC", identity.adopt(mine));
  t.is(identity.cluster, null);
  disk.fault = () => undefined;
  await identity.adopt(mine);
  t.is((await openIdentity(disk, seededRandom(2))).cluster, mine);
});

test("a node writes down a new epoch with not one byte free, again and again", async (t) => {
  let disk = new FaultyDisk();
  await (await openIdentity(disk, seededRandom(1))).adopt(mine);
  for (let epoch = 1; epoch <= 5; epoch++) {
    // This disk counts bytes, where a real one counts blocks: less than a file, enough for one that has grown a little.
    disk.capacity = disk.usedBytes + 32;
    const identity = await openIdentity(disk, seededRandom(1));
    await identity.obey(epoch);
    disk = disk.crash();
    t.is((await openIdentity(disk, seededRandom(1))).epoch, epoch);
  }
});

test("a new epoch is there or not after a loss of power at any moment, and the node is the same", async (t) => {
  for (let cut = 1, wasCut = true; wasCut; cut++) {
    const disk = new FaultyDisk(seededRandom(cut));
    const { node } = await openIdentity(disk, seededRandom(1));
    let written = 0;
    disk.crashAfter(cut);
    wasCut = false;
    try {
      const identity = await openIdentity(disk, seededRandom(1));
      await identity.adopt(mine);
      for (let epoch = 1; epoch <= 3; epoch++) {
        await identity.obey(epoch);
        written = epoch;
      }
    } catch {
      wasCut = true;
    }
    const again = await openIdentity(disk.crash(), seededRandom(2));
    t.is(again.node, node, `cut at ${String(cut)}`);
    t.true(again.epoch >= written && again.epoch <= written + 1, `cut at ${String(cut)}`);
    await again.obey(9);
  }
});
