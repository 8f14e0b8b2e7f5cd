/** A real disk, an ext4 of its own, of which not one byte is free. */
import { spawnSync } from "node:child_process";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";
import { openSystemDisk } from "../../src/base/system-disk.ts";
import { holds, id, MiB, openStore, put, rejectsWith } from "./support.ts";

function run(command: string, ...args: string[]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: "utf8", timeout: 30_000 });
  if (status !== 0) throw new Error(`${command}: ${stderr}`);
}

async function smallDisk(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "dfs-small-disk-"));
  const image = join(folder, "image");
  const mount = join(folder, "disk");
  run("truncate", "-s", "160M", image);
  run("mkfs.ext4", "-q", "-m", "0", image);
  run("mkdir", mount);
  run("mount", "-o", "loop", image, mount);
  t.teardown(async () => {
    run("umount", "-l", mount);
    await rm(folder, { recursive: true, force: true });
  });
  return mount;
}

/** Takes every byte that is left. */
async function fill(path: string): Promise<void> {
  const file = await open(path, "w");
  for (let bytes = MiB; bytes >= 1024;) {
    try {
      await file.write(Buffer.alloc(bytes, 1));
      await file.datasync();
    } catch {
      bytes /= 2;
    }
  }
  await file.close();
}

const isRoot = process.getuid?.() === 0;
const hasTools = spawnSync("mkfs.ext4", ["-V"]).status === 0;

(isRoot && hasTools ? test : test.skip)(
  "with not one byte free a node refuses puts, reads, removes, starts again, and goes on when space returns",
  async (t) => {
    const folder = await smallDisk(t);
    const disk = await openSystemDisk(join(folder, "node"));
    const capacityBytes = 64 * MiB;
    let store = await openStore(disk, { capacityBytes });
    for (let number = 0; number < 60; number++) await put(store, number, MiB / 2);
    for (let number = 1_000; number < 3_000; number++) await put(store, number, 100);
    const filler = join(folder, "filler");
    await fill(filler);
    t.is((await disk.space()).freeBytes < 64 * 1024, true, String((await disk.space()).freeBytes));
    await wait(1_100);
    store.space();
    await wait(100);
    t.is(store.space().freeBytes, 0);
    await rejectsWith(t, "ENOSPC", put(store, 100, MiB / 2));
    // Many commits of the index, one after the other.
    for (let number = 1_000; number < 1_050; number++) await store.remove([id(number)]);
    t.true(await holds(store, 7, MiB / 2));
    await store.close();

    store = await openStore(disk, { capacityBytes });
    t.false(store.has(id(1_049)));
    t.true(store.has(id(1_050)));
    const before = store.space().usedBytes;
    await store.remove(Array.from({ length: 40 }, (_, number) => id(number)));
    for (let waited = 0; waited < 10_000 && store.space().usedBytes > before * 0.6; waited += 50) await wait(50);
    t.true(store.space().usedBytes <= before * 0.6, `${String(store.space().usedBytes)} of ${String(before)} bytes`);
    for (let number = 40; number < 60; number++) t.true(await holds(store, number, MiB / 2));

    await rm(filler);
    await put(store, 101, MiB / 2);
    t.true(await holds(store, 101, MiB / 2));
    await store.close();
  },
);
