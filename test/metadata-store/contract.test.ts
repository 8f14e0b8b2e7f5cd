/** What `types.ts` promises, on both kinds of store. */
import test from "ava";
import { SimulatedClock } from "../support/simulated-clock.ts";
import { storeKinds, contentOf, smallOptions, text } from "./support.ts";

for (const kind of storeKinds) {
  test(`${kind.name}: a batch is visible at once and durable later`, async (t) => {
    const store = await kind.open({ ...smallOptions, disk: await kind.disk(t) });
    t.true(store.isDurable);
    store.apply([
      ["ia", text("1")],
      ["ib", text("2")],
    ]);
    t.is(store.lastIndex, 1);
    t.false(store.isDurable);
    t.is(store.get("ia")?.toString(), "1");
    t.is(store.get("ic"), undefined);
    await store.durable();
    t.true(store.isDurable);
    await store.durable();
    await store.close();
  });

  test(`${kind.name}: batches of one turn, and those that arrive during a write, share records`, async (t) => {
    const store = await kind.open({ ...smallOptions, disk: await kind.disk(t) });
    for (let i = 0; i < 50; i++) store.apply([[`i${String(i)}`, text("x")]]);
    const first = store.durable();
    await new Promise(setImmediate);
    for (let i = 0; i < 50; i++) store.apply([[`j${String(i)}`, text("x")]]);
    await Promise.all([first, store.durable()]);
    t.is(store.lastIndex, 100);
    t.true(store.statistics.records <= 3, `${String(store.statistics.records)} records`);
    await store.close();
  });

  test(`${kind.name}: what was applied is there after closing and opening, with a higher epoch`, async (t) => {
    const disk = await kind.disk(t);
    const first = await kind.open({ ...smallOptions, disk });
    first.apply([
      ["ia", text("1")],
      ["ib", text("2")],
      ["\u00ff\u0000\u0080", text("bytes")],
    ]);
    first.apply([["ia", null]]);
    await first.close();
    const second = await kind.open({ ...smallOptions, disk });
    t.deepEqual(contentOf(second), [
      ["ib", "2"],
      ["\u00ff\u0000\u0080", "bytes"],
    ]);
    t.is(second.lastIndex, 2);
    t.true(second.epoch > first.epoch);
    second.apply([["ic", text("3")]]);
    await second.close();
    const third = await kind.open({ ...smallOptions, disk });
    t.is(third.lastIndex, 3);
    t.deepEqual(
      contentOf(third).map(([key]) => key),
      ["ib", "ic", "\u00ff\u0000\u0080"],
    );
    await third.close();
  });

  test(`${kind.name}: a verification that is cut off leaves the store at work`, async (t) => {
    const clock = new SimulatedClock();
    const store = await kind.open({ ...smallOptions, clock, disk: await kind.disk(t) });
    for (let i = 0; i < 2_000; i++) store.apply([[`i${String(i)}`, Buffer.alloc(300, i)]]);
    await clock.advance(5_000);
    let bytes = 0;
    const pause = (read: number): Promise<never> => {
      bytes += read;
      return Promise.reject(new Error("enough"));
    };
    const cut = store.verify({ pause });
    await t.throwsAsync(cut, { message: "enough" });
    t.true(bytes > 0 && bytes < 300 * 2_000, `${String(bytes)} bytes`);
    t.false(store.hasFailed);
    store.apply([["ia", text("1")]]);
    await clock.advance(5_000);
    await store.verify();
    await store.close();
  });

  test(`${kind.name}: ranges see the newest layer, skip removed keys, obey bounds, limit and direction`, async (t) => {
    const clock = new SimulatedClock();
    const store = await kind.open({ ...smallOptions, clock, disk: await kind.disk(t) });
    for (const key of ["a", "b", "c", "d", "e"]) store.apply([[`i${key}`, text("old")]]);
    await clock.advance(5_000);
    await store.verify();
    t.is(store.statistics.overlayBytes, 0);
    store.apply([
      ["ib", null],
      ["ic", text("new")],
      ["icc", text("added")],
    ]);
    const keys = (bounds: Parameters<typeof store.range>[0]): string[] => [...store.range(bounds)].map(([key]) => key);
    t.deepEqual(keys({ gte: "ia", lt: "j" }), ["ia", "ic", "icc", "id", "ie"]);
    t.deepEqual(keys({ gte: "ib", lt: "ie" }), ["ic", "icc", "id"]);
    t.deepEqual(keys({ gte: "ib", lt: "ie", reverse: true }), ["id", "icc", "ic"]);
    t.deepEqual(keys({ gte: "ia", lt: "j", limit: 2 }), ["ia", "ic"]);
    t.deepEqual(keys({ gte: "ia", lt: "j", limit: 2, reverse: true }), ["ie", "id"]);
    t.deepEqual(keys({ gte: "ia", lt: "j", limit: 0 }), []);
    t.deepEqual(keys({ gte: "j", lt: "i" }), []);
    t.is(store.get("ic")?.toString(), "new");
    t.is(store.get("ib"), undefined);
    await store.close();
  });

  test(`${kind.name}: a range may be left early, and its reader may change the store`, async (t) => {
    const store = await kind.open({ ...smallOptions, disk: await kind.disk(t) });
    store.apply(Array.from({ length: 600 }, (_, i) => [`i${String(i).padStart(4, "0")}`, text("x")] as const));
    for (const [key] of store.range({ gte: "i", lt: "j" })) {
      store.apply([[key, null]]);
      if (key === "i0299") break;
    }
    t.is([...store.range({ gte: "i", lt: "j" })].length, 300);
    await store.close();
  });

  test(`${kind.name}: a large empty or maximal value and a key of 511 bytes come back exactly`, async (t) => {
    const disk = await kind.disk(t);
    const store = await kind.open({ ...smallOptions, disk });
    const large = Buffer.alloc(16_300, 0xa5);
    store.apply([
      ["n".repeat(511), large],
      ["e", Buffer.alloc(0)],
    ]);
    t.throws(() => {
      store.apply([["", large]]);
    });
    t.throws(() => {
      store.apply([["n".repeat(512), large]]);
    });
    await store.close();
    const again = await kind.open({ ...smallOptions, disk });
    t.deepEqual(again.get("n".repeat(511)), large);
    t.is(again.get("e")?.length, 0);
    await again.close();
  });

  test(`${kind.name}: above its bound the overlay has no room until the base has taken it`, async (t) => {
    const store = await kind.open({ ...smallOptions, disk: await kind.disk(t), overlayBytesMax: 256 * 1024 });
    t.is(store.room(), undefined);
    let waited = 0;
    for (let i = 0; i < 3_000; i++) {
      const room = store.room();
      if (room !== undefined) {
        t.true(store.statistics.overlayBytes >= 256 * 1024);
        await room;
        t.true(store.statistics.overlayBytes < 256 * 1024);
        waited++;
      }
      store.apply([[`i${String(i).padStart(5, "0")}`, Buffer.alloc(100, i)]]);
    }
    t.true(waited > 0);
    t.is(contentOf(store).length, 3_000);
    await store.durable();
    await store.verify();
    await store.close();
  });

  test(`${kind.name}: a change moves into the base when it is old`, async (t) => {
    const clock = new SimulatedClock();
    const store = await kind.open({ ...smallOptions, clock, disk: await kind.disk(t), applyAfterMillis: 1_000 });
    store.apply([["ia", text("1")]]);
    await store.durable();
    t.true(store.statistics.overlayBytes > 0);
    await clock.advance(1_001);
    await store.verify();
    t.is(store.statistics.overlayBytes, 0);
    t.is(store.get("ia")?.toString(), "1");
    await store.close();
  });

  test(`${kind.name}: a snapshot is taken when the journal is long, and the journal trimmed`, async (t) => {
    const disk = await kind.disk(t);
    const options = { ...smallOptions, disk, overlayBytesMax: 64 * 1024, snapshotJournalBytes: 256 * 1024 };
    const store = await kind.open(options);
    for (let i = 0; i < 2_000; i++) {
      store.apply([[`i${String(i % 500).padStart(5, "0")}`, Buffer.alloc(400, i)]]);
      await store.room();
      if (i % 20 === 0) await store.durable();
    }
    await store.durable();
    await store.snapshot();
    t.is((await disk.list("snapshot")).length, 1);
    t.true(store.statistics.journalBytes < 1024 * 1024, String(store.statistics.journalBytes));
    const before = contentOf(store);
    await store.close();
    const again = await kind.open(options);
    t.deepEqual(contentOf(again), before);
    await again.verify();
    await again.close();
  });

  test(`${kind.name}: a closed store takes nothing more`, async (t) => {
    const store = await kind.open({ ...smallOptions, disk: await kind.disk(t) });
    await store.close();
    t.throws(
      () => {
        store.apply([["ia", text("1")]]);
      },
      { message: /closed/ },
    );
  });
}
