/** Opens the store in the folder given, checks that block 0 is there, and ends with status 0. */
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { openSystemDisk } from "../../src/base/system-disk.ts";
import { openBlockStore } from "../../src/block-store/open.ts";
import { holds, identity, MiB } from "./support.ts";

const [folder, length] = process.argv.slice(2) as [string, string];
const disk = await openSystemDisk(folder);
const store = await openBlockStore({ disk, identity, capacityBytes: 64 * MiB, clock: systemClock, log: silentLog });
const isWhole = await holds(store, 0, Number(length));
await store.close();
process.exitCode = isWhole ? 0 : 1;
