/** Bits that flip on the disks of storage nodes: found and repaired, at read and by scrub; never wrong bytes. */
import { closeSync, openSync, readdirSync, readSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { startCluster, type Cluster } from "../support/cluster.ts";

/** Flips a bit in every stretch of `everyBytes` of all segments of a node, behind the first head. */
function rot(cluster: Cluster, node: string, everyBytes: number): void {
  const folder = join(cluster.dir, node, "segments");
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    const file = openSync(path, "r+");
    const byte = Buffer.alloc(1);
    for (let at = 16_384 + 77; at < statSync(path).size; at += everyBytes) {
      readSync(file, byte, 0, 1, at);
      byte.writeUInt8(byte.readUInt8(0) ^ 4);
      writeSync(file, byte, 0, 1, at);
    }
    closeSync(file);
  }
}

function counts(cluster: Cluster): { found: number; repaired: number; left: number } {
  const sum = { found: 0, repaired: 0, left: 0 };
  for (const { scrub } of cluster.status().nodes) {
    sum.found += scrub?.found ?? 0;
    sum.repaired += scrub?.repaired ?? 0;
    sum.left += scrub?.left ?? 0;
  }
  return sum;
}

/** With nothing of the content in its memory. */
function newClient(cluster: Cluster): void {
  cluster.kill("client");
  cluster.up();
}

test.serial("rot is repaired by a scrub, and at a read that does not notice; on every copy it is EIO", async (t) => {
  t.timeout(280_000);
  const cluster = await startCluster();
  const server = `127.0.0.1:${String(cluster.port)}`;
  try {
    await cluster.sh("head -c 20000000 /dev/urandom > f; md5sum f > sum; sync f sum");
    rot(cluster, "storage-1", 1_000_000);
    const scrubbed = cluster.dfs("scrub", "--now", server);
    t.is(scrubbed.status, 1, scrubbed.stdout + scrubbed.stderr);
    t.regex(scrubbed.stdout, /^[1-9]\d* damaged blocks found, [1-9]\d* repaired, 0 left$/m);
    const clean = cluster.dfs("scrub", "--now", server);
    t.is(clean.status, 0, clean.stdout + clean.stderr);

    const before = counts(cluster);
    rot(cluster, "storage-2", 100_000);
    newClient(cluster);
    await cluster.sh("md5sum -c sum");
    for (let waited = 0; waited < 60 && counts(cluster).repaired === before.repaired; waited++) {
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    t.true(counts(cluster).repaired > before.repaired, "the damaged copies that the reader met were replaced");
    const rest = cluster.dfs("scrub", "--now", server);
    t.regex(rest.stdout, /, 0 left$/m);
    t.true(rest.status === 0 || rest.status === 1, rest.stdout + rest.stderr);

    for (const node of ["storage-1", "storage-2", "storage-3"]) rot(cluster, node, 4_096);
    newClient(cluster);
    const output = await cluster.sh(
      "if cat f > /dev/null 2> /var/tmp/dfs-rot; then echo whole; else cat /var/tmp/dfs-rot; fi",
    );
    t.regex(output, /Input\/output error/);
    const isTold = (): boolean => cluster.status().repair.lostBlocks > 0;
    for (let waited = 0; waited < 60 && !isTold(); waited++) await new Promise((resolve) => setTimeout(resolve, 500));
    const told = cluster.dfs("status", server).stdout;
    t.regex(told, /^! \d+ blocks have no undamaged copy on any storage node; dfs fsck --data names their files: /m);
    t.regex(told, /, [1-9]\d* blocks lost$/m);
    const checked = cluster.dfs("fsck", "--data", "--name-server", server);
    t.is(checked.status, 4, checked.stdout + checked.stderr);
    t.regex(checked.stdout, /^\/f: block .* is lost, that part cannot be read: it is damaged on node/m);
    await cluster.sh("rm f; echo after > after; cat after");
  } finally {
    cluster.down();
  }
});
