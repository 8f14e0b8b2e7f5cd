/** A real disk, an ext4 of its own, of which not one byte is free. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import test from "ava";
import { openSystemDisk } from "../../src/base/system-disk.ts";
import { canMakeDisks, fillDisk, smallDisk } from "../support/small-disk.ts";
import { holds, id, MiB, openStore, put, rejectsWith } from "./support.ts";

(canMakeDisks ? test : test.skip)(
  "with not one byte free a node refuses puts, reads, removes, starts again, and goes on when space returns",
  async (t) => {
    const folder = await smallDisk(t);
    const disk = await openSystemDisk(join(folder, "node"));
    const capacityBytes = 64 * MiB;
    let store = await openStore(disk, { capacityBytes });
    for (let number = 0; number < 60; number++) await put(store, number, MiB / 2);
    for (let number = 1_000; number < 3_000; number++) await put(store, number, 100);
    const filler = join(folder, "filler");
    await fillDisk(filler);
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
