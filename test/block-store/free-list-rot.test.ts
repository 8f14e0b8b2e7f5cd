/**
 * LMDB's list of free pages rots while the node is dead: then LMDB writes over pages in use. What it has done is found at
 * the start that did it, or at the next one, and the index built again.
 */
import { spawnSync } from "node:child_process";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { openStore, id, put, temporaryDisk } from "./support.ts";

const kept = 300;
const length = 100;
const pageBytes = 4096;
const pageHeaderBytes = 24;

/** Of mdb.c's page: where its nodes begin. */
function nodesOf(file: Buffer, page: number): number[] {
  const behind = page * pageBytes + pageHeaderBytes;
  const count = file.readUInt16LE(page * pageBytes + 20) / 2;
  return Array.from({ length: count }, (_, i) => behind + file.readUInt16LE(behind + 2 * i));
}

/** Of the newest meta page (MDB_meta): the roots of the list of free pages and of the index. */
function rootsOf(file: Buffer): { free: number; index: number } {
  const metas = [0, pageBytes].map((at) => at + pageHeaderBytes);
  metas.sort((a, b) => Number(file.readBigUInt64LE(b + 128) - file.readBigUInt64LE(a + 128)));
  const [newest = 0] = metas;
  return { free: Number(file.readBigInt64LE(newest + 64)), index: Number(file.readBigInt64LE(newest + 112)) };
}

/** Makes pages that the index uses, those of its first blocks, some of the free ones. Gives how many. */
function spoilFree(file: Buffer): number {
  const { free, index } = rootsOf(file);
  const used = nodesOf(file, index)
    .slice(0, 3)
    .map((node) => file.readUInt16LE(node));
  let spoiled = 0;
  for (const node of nodesOf(file, free)) {
    const data = node + 8 + file.readUInt16LE(node + 6);
    // A number of pages; a negative one is the length of a stretch that the next one begins.
    for (let i = 1, count = Number(file.readBigUInt64LE(data)); i <= count && spoiled < used.length; i++) {
      const page = file.readBigInt64LE(data + 8 * i);
      if (page < 0) i += 1;
      else if (page > 1n) file.writeBigInt64LE(BigInt(used[spoiled++] ?? 0), data + 8 * i);
    }
  }
  return spoiled;
}

test("pages in use that count as free are written over, which costs building the index again, and no block", async (t) => {
  t.timeout(240_000);
  const disk = await temporaryDisk(t);
  for (let round = 0; round < 4; round++) {
    const store = await openStore(disk);
    await Promise.all(Array.from({ length: 400 }, (_, i) => put(store, 400 * round + i, length)));
    for (let i = 0; i < 20; i++) await store.remove([id(400 * round + kept + i)]);
    await store.close();
  }
  await rm(join(disk.root, "index.sum"));
  const path = join(disk.root, "index/data.mdb");
  const file = await readFile(path);
  t.true(spoilFree(file) > 0);
  await writeFile(path, file);
  const child = new URL("free-list-child.ts", import.meta.url).pathname;
  const run = (task: string) =>
    spawnSync(process.execPath, ["--import=tsx", child, disk.root, task, String(kept), String(length)], {
      encoding: "latin1",
    });
  // LMDB may take the process with it; then the next one builds the index again.
  const ends = [run("change"), run("look")];
  if (ends[1]?.status !== 0) ends.push(run("look"));
  const told = JSON.stringify(ends.map(({ status, signal, stdout }) => ({ status, signal, stdout })));
  t.false(
    ends.some(({ status }) => status === 3),
    `a block is missing: ${told}`,
  );
  t.is(ends.at(-1)?.status, 0, told);
  t.true(
    ends.some(({ stdout }) => stdout === "1"),
    `the index was thrown away: ${told}`,
  );
});
