/** Space under overwriting: what is dead inside of blocks comes back, and the file stays what was written. */
import test from "ava";
import { startCluster, type Cluster } from "../support/cluster.ts";

const MiB = 1024 * 1024;
const fileBytes = (process.env["DFS_LONG"] === undefined ? 16 : 64) * MiB;
const replicas = 2;

/**
 * Overwrites random places of 4 KiB for ten times the size of the file, with an fsync after every stretch of writes of
 * random length, on the file and on a local one; in the end they must be the same.
 */
const overwrite = `
import os, random
size = ${String(fileBytes)}
random.seed(7)
files = [os.open(path, os.O_RDWR | os.O_CREAT) for path in ("f", "/var/tmp/dfs-rewriting")]
first = os.urandom(size)
for fd in files:
    os.write(fd, first)
    os.fsync(fd)
left = 10 * size // 4096
while left > 0:
    count = min(left, random.choice((1, 20, 300, 2000)))
    for _ in range(count):
        data = os.urandom(4096)
        at = random.randrange(size // 4096) * 4096
        for fd in files:
            os.pwrite(fd, data, at)
    os.fsync(files[0])
    left -= count
`;

function usedShare(cluster: Cluster): { readonly onNodes: number; readonly inline: number } {
  const { capacity, rewrite } = cluster.status();
  return { onNodes: capacity.usedBytes / replicas / fileBytes, inline: rewrite.inlineBytes / fileBytes };
}

test.serial(
  "a file overwritten at random places for ten times its size takes at most 2.5 times its size",
  async (t) => {
    t.timeout(1_200_000);
    const cluster = await startCluster();
    try {
      await cluster.sh(
        `cat > /var/tmp/dfs-rewriting.py <<'END'\n${overwrite}\nEND\npython3 /var/tmp/dfs-rewriting.py`,
        {
          seconds: 900,
        },
      );
      let share = usedShare(cluster);
      t.log("at the end of writing", share);
      for (let i = 0; i < 90 && share.onNodes + share.inline > 2.5; i++) {
        await cluster.sh("sleep 2", { cwd: "/" });
        share = usedShare(cluster);
      }
      t.log("after it settled", share, cluster.status().rewrite);
      t.true(share.onNodes + share.inline <= 2.5, `it takes ${String(share.onNodes + share.inline)} times its size`);
      await cluster.sh("cmp f /var/tmp/dfs-rewriting; rm /var/tmp/dfs-rewriting /var/tmp/dfs-rewriting.py");
      const fsck = cluster.dfs("fsck", "--data", "--name-server", `127.0.0.1:${String(cluster.port)}`);
      t.is(fsck.status, 0, fsck.stdout + fsck.stderr);
    } finally {
      cluster.down();
    }
  },
);
