/** The name server's own disk, filled by somebody else: down to the reserve, then to the last byte. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { startCluster } from "../support/cluster.ts";
import { canMakeDisks, fillDisk, moveTo, smallDisk, until } from "../support/small-disk.ts";

const MiB = 1024 * 1024;

/** So that so many bytes are left. */
function fillBut(path: string, disk: string, bytes: number): void {
  const script = `fallocate -l $(($(stat -f -c '%a * %S' "$1") - ${String(bytes)})) "$2"`;
  const { status, stderr } = spawnSync("bash", ["-c", script, "bash", disk, path], { encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
}

(canMakeDisks ? test.serial : test.serial.skip)(
  "with the name server's disk full growing is ENOSPC, at the last byte it ends and says what to do, and nothing acknowledged is lost",
  async (t) => {
    t.timeout(400_000);
    const cluster = await startCluster({ nodes: 2, replicas: 2, capacity: "96M" });
    const removed = `/var/tmp/dfs-removed-${String(process.pid)}`;
    try {
      const disk = await smallDisk(t, "1600M");
      moveTo(cluster, "name", disk);
      cluster.up();
      await cluster.sh(
        `mkdir keep drop; for i in $(seq 50); do echo $i > keep/$i; echo $i > drop/$i; done
        head -c 9000000 /dev/urandom > keep/large; sync keep/* keep drop; (cd keep; md5sum *) > sums; sync sums .`,
      );
      const [first, rest] = [join(disk, "first"), join(disk, "rest")];
      fillBut(first, disk, 20 * MiB);
      await until("growing is refused", () => /down to its reserve/.test(cluster.status().warnings.join()));
      const reserved = await cluster.sh(
        "if fallocate -l 100000 drop/2 2>&1; then echo grown; fi; (cd keep; md5sum -c --quiet ../sums); rm drop/1; sync drop; ls drop | wc -l",
      );
      t.regex(reserved, /No space left on device\n49\n/);

      await fillDisk(rest);
      writeFileSync(removed, "");
      const removing = cluster.sh(
        `for i in $(seq 2 50); do rm drop/$i; sync drop; echo $i >> ${removed}; done; (cd keep; md5sum -c --quiet ../sums)`,
      );
      removing.catch(() => undefined);
      const isOver = (): boolean => !existsSync(`/proc/${String(cluster.pid("name"))}`);
      const hasRemoved = (): number => readFileSync(removed, "utf8").split("\n").length - 1;
      await until("the server has ended, or everything is removed", () => isOver() || hasRemoved() === 49);
      t.log(`${String(hasRemoved())} removals were acknowledged`);
      if (isOver()) t.regex(cluster.log("name"), /disk is full: make room on it, then start again/);
      else cluster.kill("name");
      try {
        cluster.up();
      } catch {
        t.regex(cluster.log("name"), /make room on (it|this disk), then start again/);
      }

      for (const filler of [first, rest]) rmSync(filler);
      cluster.up();
      await removing;
      const after = await cluster.sh(
        "ls drop | wc -l; (cd keep; md5sum -c --quiet ../sums); fallocate -l 100000 more; stat -c %s more",
      );
      t.is(after, "0\n100000\n");
      const checked = cluster.dfs("fsck", "--data", "--name-server", `127.0.0.1:${String(cluster.port)}`);
      t.is(checked.status, 0, checked.stdout + checked.stderr);
    } catch (error) {
      t.log(cluster.log("name").slice(-3_000));
      throw error;
    } finally {
      rmSync(removed, { force: true });
      cluster.down();
    }
  },
);
