/** `dfs fsck`, `dfs dump` and `dfs load` on a real cluster, as operators type them. */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { startCluster, type Cluster } from "../support/cluster.ts";

let cluster: Cluster;
const address = (): string => `127.0.0.1:${String(cluster.port)}`;

test.before(async () => {
  cluster = await startCluster();
  await cluster.sh(`
    mkdir -p "a/b" && head -c 3000000 /dev/urandom > a/b/large && echo small > a/small && ln a/small a/again
    ln -s b/large a/link && (cd a && sha256sum b/large small) > sums && touch "$(printf 'a/\\xff odd')" && sync -f .
  `);
});
test.after.always(() => {
  cluster.down();
});

test.serial("a filesystem in use is clean, seen from the mount and from the name server", (t) => {
  const { status, stdout, stderr } = cluster.dfs("fsck", cluster.mnt);
  t.is(status, 0, stdout + stderr);
  t.regex(stdout, /^clean: \d+ inodes, \d+ extents, \d+ blocks\n$/);
  t.is(cluster.dfs("fsck", join(cluster.mnt, "a/b")).status, 0);
  t.is(cluster.dfs("fsck", "--repair", "--name-server", address(), "/a").status, 0);
});

test.serial("what could not be checked, and what was typed wrong, have statuses of their own", (t) => {
  const none = cluster.dfs("fsck", "--name-server", address(), "/nowhere");
  t.is(none.status, 8);
  t.regex(none.stderr, /ENOENT: there is no nowhere/);
  t.is(cluster.dfs("fsck", "--name-server", "127.0.0.1:1").status, 8);
  t.is(cluster.dfs("fsck", "--bogus").status, 16);
  t.is(cluster.dfs("fsck", "--name-server", "nowhere").status, 16);
  t.is(cluster.dfs("fsck", "--help").status, 0);
});

test.serial("a name server whose folder was made of a dump serves the same tree with the same nodes", async (t) => {
  const dump = join(cluster.dir, "metadata.jsonl");
  const loaded = join(cluster.dir, "loaded");
  const before = cluster.status();
  const { stdout, status } = cluster.dfs("dump", address());
  t.is(status, 0);
  writeFileSync(dump, stdout);
  t.true(stdout.startsWith('{"dump":"dfs metadata","format":1,'));

  writeFileSync(`${dump}.cut`, stdout.slice(0, -200));
  await t.throwsAsync(load(`${dump}.cut`, loaded), {
    message: /nothing was loaded: EINVAL: line \d+: .*(cut off|as dfs dump)/,
  });
  writeFileSync(`${dump}.changed`, stdout.replace('"small"', '"smalm"'));
  await t.throwsAsync(load(`${dump}.changed`, loaded), { message: /the manifest does not match/ });
  t.false(existsSync(join(loaded, "loading")));
  await t.throwsAsync(load(dump, join(cluster.dir, "name")), { message: /is not empty/ });
  t.regex(await load(dump, loaded), /has the metadata of cluster [0-9a-f]{16}/);

  await stopped("name");
  renameSync(join(cluster.dir, "name"), join(cluster.dir, "name-before"));
  renameSync(loaded, join(cluster.dir, "name"));
  cluster.up();
  await cluster.sh('cd a && sha256sum -c ../sums && test -e "$(printf "\\xff odd")" && test "$(stat -c %h small)" = 2');
  const after = cluster.status();
  t.is(after.cluster, before.cluster);
  t.true(after.epoch > before.epoch);
  t.deepEqual(after.nodes.map(({ id }) => id).sort(), before.nodes.map(({ id }) => id).sort());
  t.is(cluster.dfs("fsck", cluster.mnt).status, 0);
  await cluster.sh("echo more > a/more && sync -f . && grep more a/more");
  t.is(readFileSync(dump, "utf8"), stdout);
});

test.serial(
  "a flipped byte in one copy is found by reading it, told with its path, and made good from the other",
  async (t) => {
    await cluster.sh(
      `local=$(mktemp) && seq -f 'the marked line %08.0f' 60000 > $local && dd if=$local of=a/marked bs=4M status=none
       rm $local && sync -f . && sha256sum a/marked > marked-sum`,
    );
    // Written at once it is one block, which lies on two nodes and nowhere else. In one copy:
    const flipped = await cluster.sh(
      `file=$(grep -rl "the marked line 00030000" storage-*/ | sed -n 1p)
     for at in $(grep -abo "the marked line 00030000" "$file" | cut -d: -f1); do
       printf X | dd of="$file" bs=1 seek=$((at + 4)) conv=notrunc status=none
     done
     echo "$file"`,
      { cwd: cluster.dir },
    );
    t.regex(flipped, /^storage-\d/);
    t.is(cluster.dfs("fsck", cluster.mnt).status, 0);
    t.is(cluster.dfs("fsck", "--data", join(cluster.mnt, "a/b")).status, 0);
    const found = cluster.dfs("fsck", "--data", cluster.mnt);
    t.is(found.status, 4, found.stdout);
    t.regex(found.stdout, /^\/a\/marked: block \d+\/\d+ is damaged on node [0-9a-f]{16}\n/);
    const repaired = cluster.dfs("fsck", "--data", "--repair", join(cluster.mnt, "a"));
    t.is(repaired.status, 1, repaired.stdout);
    t.regex(repaired.stdout, /^repaired: \/a\/marked: .*copied from another node\n/);
    t.is(cluster.dfs("fsck", "--data", cluster.mnt).status, 0);
    await cluster.sh("sha256sum -c marked-sum");
  },
);

test.serial("no name server starts where a load was killed", async (t) => {
  const folder = join(cluster.dir, "half");
  mkdirSync(join(folder, "loading"), { recursive: true });
  const { status, stderr } = cluster.dfs("name-server", "--data", folder, "--listen", "127.0.0.1:0");
  t.is(status, 1);
  t.regex(stderr, /dfs load did not finish in/);
  rmSync(folder, { recursive: true });
  await cluster.sh("ls a > /dev/null");
});

/** Resolves with what it printed; rejects with that. */
function load(dump: string, folder: string): Promise<string> {
  const program = `${process.execPath} dist/cli/main.js`;
  return cluster.sh(`${program} load --data ${folder} < ${dump} 2>&1`, { cwd: process.cwd() });
}

async function stopped(name: string): Promise<void> {
  const pid = cluster.pid(name);
  cluster.kill(name, "SIGTERM");
  await cluster.sh(`for i in $(seq 300); do kill -0 ${String(pid)} 2>/dev/null || exit 0; sleep 0.1; done; exit 1`, {
    cwd: "/",
  });
}
