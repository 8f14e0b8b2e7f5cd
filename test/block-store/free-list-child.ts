/**
 * Opens the store in the folder given and says on standard output how often the index was thrown away. `change`: removes some
 * blocks, each by a commit of its own, and dies as of kill -9. `look`: ends with 3 if a block that is to be there is not.
 */
import { writeSync } from "node:fs";
import { openSystemDisk } from "../../src/base/system-disk.ts";
import { lmdbBackend } from "../../src/block-store/lmdb-backend.ts";
import { holds, id, openStore } from "./support.ts";

const [folder, task, kept, length] = process.argv.slice(2) as [string, "change" | "look", string, string];
const disk = await openSystemDisk(folder);
const lmdb = lmdbBackend(disk);
let discarded = 0;
const discard = (): Promise<void> => ((discarded += 1), lmdb.discard());
const store = await openStore(disk, { backend: { ...lmdb, discard } });
writeSync(1, String(discarded));
if (task === "change") {
  for (let number = 0; number < 40; number++) await store.remove([id(Number(kept) + 20 + 30 * number)]);
  process.kill(process.pid, "SIGKILL");
}
for (let number = 0; number < Number(kept); number++) {
  if (!store.has(id(number)) || !(await holds(store, number, Number(length)))) process.exitCode = 3;
}
await store.close();
