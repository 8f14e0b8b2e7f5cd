/** Space: what is deleted comes back, what is full says so, and nothing is corrupted by it. */
import test from "ava";
import { startCluster } from "../support/cluster.ts";

test.serial("a file overwritten 50 times in a cluster with room for 3 copies goes on", async (t) => {
  t.timeout(500_000);
  // 3 nodes, 2 replicas: a file of 64 MiB takes 128 MiB; 3 copies of it 384 MiB, plus the nodes' reserve.
  const cluster = await startCluster({ capacity: "192M" });
  try {
    await cluster.sh(
      `head -c 50000000 /dev/urandom > /var/tmp/dfs-over
      for i in $(seq 50); do cp /var/tmp/dfs-over f; sync f; done
      cmp f /var/tmp/dfs-over; rm -f /var/tmp/dfs-over`,
      { seconds: 480 },
    );
    t.pass();
  } finally {
    cluster.down();
  }
});

test.serial("a full cluster says ENOSPC, keeps what it has, and goes on when space returns", async (t) => {
  t.timeout(300_000);
  const cluster = await startCluster({ capacity: "96M" });
  try {
    const output = await cluster.sh(
      `head -c 10000000 /dev/urandom > keep; sync keep; md5sum keep > sum
      if dd if=/dev/zero of=fill bs=1M count=400 conv=fsync 2> /var/tmp/dfs-dd; then echo "no error"; exit 1; fi
      cat /var/tmp/dfs-dd; rm /var/tmp/dfs-dd; md5sum -c sum; echo small > small; cat small
      # What was given up on its way may leave room for some of it.
      for i in $(seq 60); do dd if=/dev/zero of=fill bs=4k count=200 oflag=append conv=notrunc,fsync 2> /dev/null || { echo "refused after $i"; break; }; done
      rm fill
      for i in $(seq 60); do if head -c 20000000 /dev/zero > again && sync again; then echo again works; exit 0; fi; sleep 1; done; exit 1`,
      { seconds: 280 },
    );
    t.regex(output, /No space left on device/);
    t.log(/refused after .*/.exec(output)?.[0]);
    t.regex(output, /refused after/, "small appends to a large file go on without any space");
    t.regex(output, /again works/);
  } finally {
    cluster.down();
  }
});

test.serial("without a full set of nodes a write waits, then fails with a clear errno", async (t) => {
  t.timeout(300_000);
  const cluster = await startCluster({ replicas: 3 });
  try {
    await cluster.sh("head -c 5000000 /dev/urandom > before; sync before; md5sum before > sum; sync sum");
    cluster.kill("storage-2");
    const output = await cluster.sh(
      "if dd if=/dev/zero of=lost bs=1M count=20 conv=fsync 2>&1; then exit 1; fi; cat sum",
      { seconds: 200 },
    );
    t.regex(output, /Input\/output error/);
    t.regex(output, /before/);
    cluster.up();
    await cluster.sh("md5sum -c sum; echo works > after; sync after; cat after");
    t.is(cluster.status().groups.lost, 0);
  } finally {
    cluster.down();
  }
});

test.serial("without a majority of the nodes everything waits, dfs status says for whom, and it goes on", async (t) => {
  t.timeout(300_000);
  const cluster = await startCluster();
  try {
    await cluster.sh("head -c 5000000 /dev/urandom > before; sync before; md5sum before > sum; sync sum");
    for (const name of ["storage-1", "storage-2"]) cluster.kill(name);
    let isDone = false;
    const writing = cluster.sh("dd if=/dev/zero of=waiting bs=1M count=20 conv=fsync 2>&1; cat sum", { seconds: 250 });
    const settled = writing.finally(() => {
      isDone = true;
    });
    settled.catch(() => undefined);
    const end = performance.now() + 60_000;
    while (!/fewer than 2 of 3 storage nodes have confirmed/.test(cluster.status().warnings.join("\n"))) {
      if (performance.now() > end) throw new Error(JSON.stringify(cluster.status().warnings));
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
    t.false(isDone);
    cluster.up();
    await settled;
    await cluster.sh("md5sum -c sum; echo works > after; sync after; cat after");
    t.is(cluster.status().groups.lost, 0);
  } finally {
    cluster.down();
  }
});
