/** kill -9 of a real process on the real disk, at random moments: what it said to be durable is there. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import test from "ava";
import { systemClock } from "../../src/base/clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import { openSystemDisk } from "../../src/base/system-disk.ts";
import { openMetadataStore } from "../../src/metadata-store/open.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const child = fileURLToPath(new URL("kill-child.ts", import.meta.url));
const rounds = 12;

test("what a killed process said to be durable is there, and each batch as a whole", async (t) => {
  const root = await temporaryFolder(t);
  const random = seededRandom(20);
  for (let round = 0; round < rounds; round++) {
    const acknowledged = await runAndKill(root, random.below(4_000));
    const store = await openMetadataStore({
      disk: await openSystemDisk(root),
      clock: systemClock,
      journalFileBytes: 1024 * 1024,
      lmdbMapBytes: 256 * 1024 * 1024,
    });
    const { lastIndex } = store;
    t.true(
      lastIndex >= acknowledged,
      `round ${String(round)}: ${String(acknowledged)} was durable, ${String(lastIndex)} found`,
    );
    t.is(store.get("c")?.toString(), String(lastIndex), `round ${String(round)}`);
    for (let number = Math.max(1, lastIndex - 999); number <= lastIndex; number++) {
      const key = `i${String(number % 1000).padStart(4, "0")}`;
      t.is(store.get(key)?.toString().trim(), String(number), `round ${String(round)}: ${key}`);
    }
    await store.verify();
    await store.close();
  }
});

/** Kills the child when it has said so many lines; returns the last number it said. */
async function runAndKill(root: string, lines: number): Promise<number> {
  const victim = spawn(process.execPath, ["--import=tsx", child, root], { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  let count = 0;
  victim.stdout.on("data", (bytes: Buffer) => {
    said += bytes.toString();
    count += bytes.filter((byte) => byte === 10).length;
    if (count > lines) victim.kill("SIGKILL");
  });
  await once(victim, "close");
  return Number(said.trim().split("\n").at(-1));
}
