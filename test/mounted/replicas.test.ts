/**
 * Files with 1, 2 and 3 copies in one cluster: what is left of each when storage nodes die. Two of four may, as far as the
 * journal is concerned.
 */
import test from "ava";
import { startCluster, type Cluster } from "../support/cluster.ts";
import { eventually, SecondMount } from "./acting.ts";

const servers = ["storage-1", "storage-2", "storage-3", "storage-4"];
let cluster: Cluster;
/** Without anything in its caches. */
let cold: SecondMount;

test.before(async () => {
  cluster = await startCluster({ nodes: servers.length, replicas: 2 });
  cold = new SecondMount(cluster, "cold");
});
test.after.always(async () => {
  for (const name of servers) {
    try {
      cluster.kill(name, "SIGCONT");
    } catch {
      // It was killed.
    }
  }
  cluster.up();
  await cold.remove();
  cluster.down();
});

function replicasOf(path: string): string {
  const { status, stdout, stderr } = cluster.dfs("replicas", "get", path);
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

function set(copies: number, path: string): { status: number | null; stderr: string } {
  return cluster.dfs("replicas", "set", String(copies), path);
}

/** The storage nodes on whose disks the text is. */
async function holding(text: string): Promise<string[]> {
  const found = await cluster.sh(`grep -rl "${text}" storage-*/ | cut -d / -f 1 | sort -u`, { cwd: cluster.dir });
  return found.trim().split("\n");
}

const files = "for d in one two three; do cmp $MNT/$d/file /var/tmp/dfs-replicas-$PORT; done";

test.serial(
  "what is made in a directory has the copies that were set for it, what was there is converted",
  async (t) => {
    t.timeout(240_000);
    const { mnt, port } = cluster;
    const env = `PORT=${String(port)}; `;
    await cluster.sh(
      `${env} mkdir one two three; head -c 25000000 /dev/urandom > /var/tmp/dfs-replicas-$PORT
    mkdir old; cp /var/tmp/dfs-replicas-$PORT old/file; sync old/file`,
    );
    t.is(set(1, `${mnt}/one`).status, 0);
    t.is(set(3, `127.0.0.1:${String(port)}:/three`).status, 0);
    await cluster.sh(
      `${env} for d in one two three; do cp /var/tmp/dfs-replicas-$PORT $d/file; sync $d/file; done; ${files}`,
    );
    t.is(replicasOf(`${mnt}/one/file`), "wanted  1 copy\nnow     1 copy: 23.8 MiB\n");
    t.is(replicasOf(`${mnt}/two/file`), "wanted  2 copies (the cluster's default)\nnow     2 copies: 23.8 MiB\n");
    t.is(replicasOf(`127.0.0.1:${String(port)}:/three/file`), "wanted  3 copies\nnow     3 copies: 23.8 MiB\n");
    t.is(replicasOf(`${mnt}/three`), "wanted  3 copies\n");

    t.is(set(3, `${mnt}/old`).status, 0);
    await eventually(
      "old/file has 3 copies",
      () => /^wanted {2}3 copies\nnow {5}3 copies: 23.8 MiB\n$/.test(replicasOf(`${mnt}/old/file`)),
      60,
    );
    await cluster.sh(`${env} cmp old/file /var/tmp/dfs-replicas-$PORT`);
  },
);

test.serial("a mistake is told in words", (t) => {
  const { mnt } = cluster;
  t.regex(set(5, mnt).stderr, /5 copies need 5 storage nodes, and there are 4/);
  t.regex(set(6, mnt).stderr, /Expected a number from 1 to 5/);
  t.regex(set(2, "/tmp").stderr, /is not in a dfs mount/);
  t.regex(set(2, `127.0.0.1:${String(cluster.port)}:/nowhere`).stderr, /ENOENT: nowhere/);
});

test.serial(
  "with one node dead two copies are enough, with two dead three are, and one copy is on its node alone",
  async (t) => {
    t.timeout(240_000);
    const env = `PORT=${String(cluster.port)}; `;
    for (const d of ["one", "three"])
      await cluster.sh(`seq -f "line %08.0f in ${d}" 5000 > ${d}/lines; sync ${d}/lines`);
    // Who has the only copy, and one of the three that have the other file.
    const [first] = await holding("line 00000100 in one");
    const second = (await holding("line 00000100 in three")).find((name) => name !== first);
    if (first === undefined || second === undefined) throw new Error("the lines are on no node");
    cluster.kill(first);
    await cold.mount();
    await cluster.sh(`${env} for d in two three old; do cmp ${cold.mnt}/$d/file /var/tmp/dfs-replicas-$PORT; done`, {
      cwd: "/",
    });
    await cold.umount();
    cluster.kill(second);
    await cold.mount();
    await cluster.sh(`${env} for d in three old; do cmp ${cold.mnt}/$d/file /var/tmp/dfs-replicas-$PORT; done`, {
      cwd: "/",
    });
    await cold.umount();
    await eventually(
      "two nodes count as down",
      () => cluster.status().nodes.filter(({ state }) => state === "down").length === 2,
    );
    t.regex(replicasOf(`${cluster.mnt}/three/lines`), /now {5}(1 copy|2 copies) of 3, the other nodes are down/);
    t.regex(replicasOf(`${cluster.mnt}/one/lines`), /now {5}0 copies of 1, the other nodes are down/);
    cluster.up();
    await cluster.sh(`${env} ${files}; rm /var/tmp/dfs-replicas-$PORT`);
  },
);
