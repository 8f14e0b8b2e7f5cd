import { spawn } from "node:child_process";
import { once } from "node:events";
import test from "ava";
import { systemRandom } from "../../src/base/random.ts";
import { holds, id, MiB, openStore, temporaryDisk } from "./support.ts";

const child = new URL("kill-child.ts", import.meta.url).pathname;

test("kill -9 at any moment loses nothing that was answered, on the real disk", async (t) => {
  const disk = await temporaryDisk(t);
  const there = new Map<number, number>();
  const doubtful = new Map<number, number>();
  const gone = new Set<number>();
  let next = 0;
  for (let round = 0; round < 4; round++) {
    const process_ = spawn(process.execPath, ["--import=tsx", child, disk.root, String(next)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let said = "";
    let lines = 0;
    const wanted = 50 + systemRandom.below(200);
    process_.stdout.on("data", (bytes: Buffer) => {
      said += bytes.toString();
      lines = said.split("\n").length;
      if (lines >= wanted) process_.kill("SIGKILL");
    });
    await once(process_, "close");
    t.true(lines >= wanted, `the child ended by itself after ${String(lines)} lines`);
    for (const line of said.split("\n").slice(0, -1)) {
      const [word, number, length] = line.split(" ") as [string, string, string];
      if (word === "put") there.set(Number(number), Number(length));
      else if (word === "going") {
        doubtful.set(Number(number), there.get(Number(number)) ?? 0);
        there.delete(Number(number));
      } else {
        doubtful.delete(Number(number));
        gone.add(Number(number));
      }
      next = Math.max(next, Number(number) + 100);
    }
    const store = await openStore(disk, { capacityBytes: 48 * MiB });
    for (const [number, length] of there) t.true(await holds(store, number, length), `block ${String(number)}`);
    for (const [number, length] of doubtful) if (store.has(id(number))) t.true(await holds(store, number, length));
    for (const number of gone) t.false(store.has(id(number)), `removed block ${String(number)} is back`);
    // Makes room for the next round.
    const removed = [...there.keys()].slice(0, -10);
    await store.remove([...removed, ...doubtful.keys()].map((number) => id(number)));
    for (const number of [...removed, ...doubtful.keys()]) gone.add(number);
    for (const number of removed) there.delete(number);
    doubtful.clear();
    await store.close();
  }
});
