/** Opens the store in the folder given and checks that the first blocks are there: status 0, or 3 if one is not. */
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { openSystemDisk } from "../../src/base/system-disk.ts";
import { openBlockStore } from "../../src/block-store/open.ts";
import { holds, id, identity, MiB } from "./support.ts";

const [folder, length, blocks = "1"] = process.argv.slice(2) as [string, string, string?];
const disk = await openSystemDisk(folder);
const store = await openBlockStore({ disk, identity, capacityBytes: 64 * MiB, clock: systemClock, log: silentLog });
let whole = 0;
for (let number = 0; number < Number(blocks); number++) {
  if (store.has(id(number)) && (await holds(store, number, Number(length)))) whole += 1;
}
await store.close();
process.exitCode = whole === Number(blocks) ? 0 : 3;
