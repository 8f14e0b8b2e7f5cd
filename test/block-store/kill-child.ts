/**
 * Writes and removes blocks in the folder given until it is killed, and says on stdout what was answered: "put N LENGTH"
 * and "gone N", a line each.
 */
import { writeSync } from "node:fs";
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { systemRandom as random } from "../../src/base/random.ts";
import { openSystemDisk } from "../../src/base/system-disk.ts";
import { openBlockStore } from "../../src/block-store/open.ts";
import { id, identity, MiB, put } from "./support.ts";

const [folder, firstNumber] = process.argv.slice(2) as [string, string];
const disk = await openSystemDisk(folder);
const store = await openBlockStore({ disk, identity, capacityBytes: 48 * MiB, clock: systemClock, log: silentLog });
let next = Number(firstNumber);
const alive: number[] = [];
const say = (line: string): void => void writeSync(1, `${line}\n`);

async function work(): Promise<never> {
  for (;;) {
    const number = next++;
    const length = 1 + random.below(random.below(4) === 0 ? 2 * MiB : 50_000);
    await put(store, number, length);
    say(`put ${String(number)} ${String(length)}`);
    alive.push(number);
    if (alive.length < 30) continue;
    const victims = alive.splice(0, 20);
    for (const victim of victims) say(`going ${String(victim)}`);
    await store.remove(victims.map((victim) => id(victim)));
    for (const victim of victims) say(`gone ${String(victim)}`);
  }
}
await Promise.all([work(), work(), work()]);
