/** The victim of kill.test.ts: applies numbered batches and prints each number that is durable, until it is killed. */
import { writeSync } from "node:fs";
import { systemClock } from "../../src/base/clock.ts";
import { openSystemDisk } from "../../src/base/system-disk.ts";
import { openMetadataStore } from "../../src/metadata-store/open.ts";

const root = process.argv[2] ?? "";
const store = await openMetadataStore({
  disk: await openSystemDisk(root),
  clock: systemClock,
  journalFileBytes: 1024 * 1024,
  overlayBytesMax: 256 * 1024,
  snapshotJournalBytes: 1024 * 1024,
  lmdbMapBytes: 256 * 1024 * 1024,
});
for (;;) {
  const number = store.lastIndex + 1;
  // Two keys of one batch: neither may be seen without the other.
  store.apply([
    [`i${String(number % 1000).padStart(4, "0")}`, Buffer.from(String(number).padEnd(200))],
    ["c", Buffer.from(String(number))],
  ]);
  await store.room();
  if (number % 7 === 0) {
    await store.durable();
    writeSync(1, `${String(number)}\n`);
  }
}
