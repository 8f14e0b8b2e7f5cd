/** Disks without one free byte: every storage node's, then the name server starts again and claims a new epoch. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { startCluster } from "../support/cluster.ts";
import { canMakeDisks, fillDisk, moveTo, smallDisk, until } from "../support/small-disk.ts";

(canMakeDisks ? test.serial : test.serial.skip)(
  "with not one byte free on any node, growing is ENOSPC, reads and deletions go on, also through a new epoch; then all is well again",
  async (t) => {
    t.timeout(400_000);
    const cluster = await startCluster({ nodes: 2, replicas: 2, capacity: "96M" });
    try {
      const disks = [await smallDisk(t), await smallDisk(t)];
      for (const [i, disk] of disks.entries()) moveTo(cluster, `storage-${String(i + 1)}`, disk);
      cluster.up();
      await cluster.sh(
        `head -c 20000000 /dev/urandom > keep; sync keep; md5sum keep > sum
        for i in 1 2 3 4; do head -c 3000000 /dev/urandom > drop-$i; done; sync drop-* sum .`,
      );
      const fillers = disks.map((disk) => join(disk, "filler"));
      for (const filler of fillers) await fillDisk(filler);
      await until("the name server knows", () => cluster.status().nodes.every(({ freeBytes }) => freeBytes === 0));
      const refused = await cluster.sh(
        "if head -c 9000000 /dev/zero > more 2> /var/tmp/dfs-full && sync more 2>> /var/tmp/dfs-full; then echo room; else cat /var/tmp/dfs-full; fi; rm -f more",
      );
      t.regex(refused, /No space left on device/);

      const { epoch } = cluster.status();
      cluster.kill("name");
      cluster.kill("client");
      cluster.up();
      await until("the nodes obey the new epoch", () => cluster.status().nodes.every(({ state }) => state === "up"));
      t.true(cluster.status().epoch > epoch);
      await cluster.sh("md5sum -c sum; rm drop-1 drop-2; test ! -e drop-1");
      const used = (): number => cluster.status().capacity.usedBytes;
      const before = used();
      await cluster.sh("rm drop-3 drop-4");

      for (const filler of fillers) await rm(filler);
      await until("something can be stored again", async () => {
        const tried = await cluster.sh("if head -c 5000000 keep > again && sync again; then echo stored; fi");
        return tried.includes("stored");
      });
      await cluster.sh("head -c 5000000 keep | cmp - again; md5sum -c sum");
      await until("what was removed gives its space back", () => used() < before);
      const checked = cluster.dfs("fsck", "--data", "--name-server", `127.0.0.1:${String(cluster.port)}`);
      t.is(checked.status, 0, checked.stdout + checked.stderr);
    } catch (error) {
      t.log(cluster.log("name").slice(-2_000), cluster.log("storage-1").slice(-3_000));
      throw error;
    } finally {
      cluster.down();
    }
  },
);
