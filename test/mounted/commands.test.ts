/** The commands as people and scripts use them: help, mistakes, exit statuses, a cluster that is started twice or healed. */
import { mkdtempSync, readFileSync, rmdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";
import { shell, startCluster, type Cluster } from "../support/cluster.ts";
import { eventually, isMounted, isRunning, SecondMount, startDfs, withPeers } from "./acting.ts";

const project = fileURLToPath(new URL("../..", import.meta.url));
const processes = ["name", "storage-1", "storage-2", "storage-3", "client"];
let cluster: Cluster;
/** Another mount point of the same cluster. */
let second: SecondMount;
const scratch = mkdtempSync("/tmp/dfs-commands-");
const pids = (): number[] => processes.map((name) => cluster.pid(name));

test.before(async () => {
  cluster = await startCluster();
  second = new SecondMount(cluster);
});
test.after.always(async () => {
  await second.remove();
  cluster.down();
  rmSync(scratch, { recursive: true, force: true });
});

test.serial("every command explains itself", async (t) => {
  const commands = [[], ["name-server"], ["storage-node"], ["mount"], ["umount"], ["status"], ["cluster"]];
  for (const command of [...commands, ["cluster", "up"], ["cluster", "down"]]) {
    const { status, output } = await startDfs([...command, "--help"]);
    t.is(status, 0);
    t.true(output.startsWith(`Usage: ${["dfs", ...command].join(" ")} `), output);
    t.regex(output, /\n[A-Z][^\n]+\.?\n/);
  }
  t.regex((await startDfs(["--version"])).output, /^\d+\.\d+\.\d+\n$/);
});

const mistakes: readonly [args: string, sentence: RegExp][] = [
  ["frobnicate", /unknown command 'frobnicate'/],
  ["mount", /missing required argument 'host:port'/],
  ["mount 127.0.0.1:1", /missing required argument 'directory'/],
  ["mount nowhere /tmp", /Expected HOST:PORT, not "nowhere"/],
  ["mount 127.0.0.1:70000 /tmp", /Expected HOST:PORT/],
  ["mount 127.0.0.1:1 /tmp -o bogus", /unknown mount option "bogus"/],
  ["mount 127.0.0.1:1 /tmp -o memory=lots", /Expected a size such as 500M or 10G, not "lots"/],
  ["mount 127.0.0.1:1 /tmp -o memory=1M", /memory= has to be at least 64M/],
  ["mount 127.0.0.1:1 /tmp --driver carrier-pigeon", /Allowed choices are kernel, fuse-native/],
  ["umount", /missing required argument 'directory'/],
  ["umount /a /b", /too many arguments/],
  ["status --colour", /unknown option '--colour'/],
  ["status 1:2:3", /Expected HOST:PORT/],
  ["name-server", /required option '--data <folder>' not specified/],
  ["name-server --data x --replicas 0", /Expected a number from 1 to/],
  ["storage-node --data x --capacity much", /Expected a size/],
  ["cluster up --dir x", /required option '--mount <directory>' not specified/],
  ["cluster up --dir x --mount y --nodes none", /Expected a number/],
  ["cluster up --dir x --mount y --capacity much", /Expected a size/],
];
for (const [args, sentence] of mistakes) {
  test.serial(`a mistake is told in one sentence, status 2: dfs ${args}`, async (t) => {
    const { status, output } = await startDfs(args.split(" "));
    t.is(status, 2);
    const lines = output.split("\n").filter((line) => line !== "" && line !== "(see --help)");
    t.is(lines.length, 1, output);
    t.regex(lines[0] ?? "", sentence);
  });
}

test.serial("a folder in use is refused with its holder's pid, also when the holder stands still", async (t) => {
  const refused = async (name: string, ...args: string[]): Promise<void> => {
    const { status, output } = await startDfs([...args, "--data", join(cluster.dir, name), "--listen", "127.0.0.1:0"]);
    t.is(status, 1);
    t.true(output.includes(`is in use by process ${String(cluster.pid(name))}`), output);
  };
  await refused("name", "name-server");
  await refused("storage-1", "storage-node", "--name-server", second.address);
  cluster.kill("storage-2", "SIGSTOP");
  await refused("storage-2", "storage-node", "--name-server", second.address);
  cluster.kill("storage-2", "SIGCONT");
});

test.serial("cluster up starts only what does not run, and heals what was killed", async (t) => {
  await cluster.sh("echo kept > kept; sync kept");
  const before = pids();
  cluster.up();
  t.deepEqual(pids(), before);
  for (const name of processes) {
    const old = pids();
    cluster.kill(name);
    // At once: what was killed may still be on its way out, and its lock is taken when it is.
    cluster.up();
    t.deepEqual(
      processes.filter((_name, i) => pids()[i] !== old[i]),
      [name],
    );
    t.is(await cluster.sh("cat kept"), "kept\n");
  }
  t.true(cluster.status().nodes.every(({ state }) => state === "up"));
});

test.serial("a reader that has had enough ends nothing: the work goes on, without a word", async (t) => {
  const up = `cluster up --dir ${cluster.dir} --mount ${cluster.mnt} --port ${String(cluster.port)}`;
  for (const command of ["--help", `status ${second.address}`, up]) {
    const script = `node dist/cli/main.js ${command} | head -c 1 > /dev/null; echo "\${PIPESTATUS[0]}"`;
    t.is(await shell(script, { seconds: 60, cwd: project }), "0\n", command);
  }
});

test.serial("two clusters side by side know nothing of each other", async (t) => {
  const other = await startCluster({ nodes: 1, replicas: 1 });
  try {
    await cluster.sh("echo first > which");
    await other.sh("test ! -e which; echo second > which");
    t.is(await cluster.sh("cat which"), "first\n");
    t.not(other.status().cluster, cluster.status().cluster);
    // Their mounts are not mixed up either.
    const args = ["cluster", "up", "--dir", other.dir, "--mount", cluster.mnt, "--port", String(other.port)];
    const { status, output } = await startDfs([...args, "--nodes", "1", "--replicas", "1"]);
    t.is(status, 1);
    t.regex(output, /is already the mount of .*: choose another one with MNT=/);
  } finally {
    other.down();
  }
  t.is(await cluster.sh("cat which"), "first\n");
});

test.serial("dfs status shows groups, nodes, sessions and capacity, to programs and people", async (t) => {
  const status = cluster.status();
  t.deepEqual(Object.keys(status.groups).sort(), ["degraded", "healthy", "lost"]);
  t.true(status.groups.healthy > 0 && status.groups.degraded === 0 && status.groups.lost === 0);
  t.is(status.nodes.length, 3);
  for (const node of status.nodes) {
    t.like(node, { state: "up" });
    t.regex(node.address, /^127\.0\.0\.1:\d+$/);
  }
  t.is(status.sessions.filter(({ connected }) => connected).length, 1);
  t.true(status.sessions[0]?.client.endsWith(`:${cluster.mnt}`));
  t.true(status.capacity.totalBytes > status.capacity.availableBytes && status.capacity.availableBytes > 0);
  const { status: exit, output } = await startDfs(["status", second.address]);
  t.is(exit, 0);
  for (const part of ["NODE", "SESSION", "healthy", cluster.mnt, "copies of everything"]) t.true(output.includes(part));
});

test.serial("a node that is down shows as degraded groups and in words", async (t) => {
  cluster.kill("storage-3");
  await eventually("the node is down", () => cluster.status().nodes.some(({ state }) => state === "down"), 60);
  const status = cluster.status();
  t.true(status.groups.degraded > 0 && status.groups.lost === 0);
  t.true(status.warnings.length > 0);
  cluster.up();
  await eventually("all groups are healthy again", () => cluster.status().groups.degraded === 0, 60);
});

test.serial("dfs status of nobody is one clear sentence, status 1", async (t) => {
  const { status, output } = await startDfs(["status", "127.0.0.1:1"]);
  t.is(status, 1);
  t.regex(output, /^dfs: no name server answers at 127\.0\.0\.1:1: [^\n]+\n$/);
});

test.serial("a mount that cannot be says why and fails", async (t) => {
  t.timeout(120_000);
  const log = ["--log", join(scratch, "mount.log")];
  const file = join(scratch, "file");
  writeFileSync(file, "");
  for (const [directory, sentence] of [
    [join(scratch, "missing"), /the mount point .*missing.* does not exist/],
    [file, /the mount point .*file is not a directory/],
    [cluster.mnt, /is already the mount point of/],
  ] as const) {
    const { status, output } = await startDfs(["mount", ...log, second.address, directory]);
    t.is(status, 1);
    t.regex(output, sentence);
    t.is(output.trim().split("\n").length, 1, output);
  }
  const { status, output } = await startDfs(["mount", ...log, "127.0.0.1:1", second.mnt]);
  t.is(status, 1);
  t.regex(output, /no session with the name server at 127\.0\.0\.1:1: .*ECONNREFUSED/);
  t.false(isMounted(second.mnt));
});

test.serial("dfs umount waits for what was written: nothing is lost when everything dies right after it", async (t) => {
  const digest = await cluster.sh(
    "head -c 12000000 /dev/urandom > big; for i in $(seq 100); do echo $i > s$i; done; cat big s* | sha256sum",
  );
  const driver = cluster.pid("client");
  t.is((await startDfs(["umount", cluster.mnt])).status, 0);
  t.false(isRunning(driver));
  for (const name of processes.slice(0, -1)) cluster.kill(name);
  await eventually("all have ended", () => processes.every((name) => !isRunning(cluster.pid(name))));
  cluster.up();
  t.is(await cluster.sh("cat big s* | sha256sum"), digest);
});

test.serial("dfs umount of a mount in use fails with 32 and leaves it; --lazy detaches it", async (t) => {
  await second.mount();
  await withPeers(1, async (peer) => {
    peer.call("chdir", second.mnt);
    const { status, output } = await startDfs(["umount", second.mnt]);
    t.is(status, 32);
    t.regex(output, /busy/);
    t.true(isMounted(second.mnt));
    peer.call("mkdir", "still works");
    t.is((await startDfs(["umount", "--lazy", second.mnt])).status, 0);
    t.false(isMounted(second.mnt));
    peer.call("mkdir", "still works here");
  });
  t.is((await startDfs(["umount", second.mnt])).status, 32);
  t.is(await cluster.sh("ls -d still*"), "still works\nstill works here\n");
});

test.serial("nobody listens beyond loopback without a secret", async (t) => {
  for (const args of [
    ["name-server", "--data", join(scratch, "open-name")],
    ["storage-node", "--data", join(scratch, "open-node"), "--name-server", second.address],
  ]) {
    const { status, output } = await startDfs([...args, "--listen", "0.0.0.0:0"]);
    t.is(status, 1);
    t.regex(output, /0\.0\.0\.0 is not a loopback address: set a cluster secret/);
  }
});

test.serial("with a secret everybody has to prove to have it", async (t) => {
  const folder = mkdtempSync(join(scratch, "secret-"));
  const secret = join(folder, "secret");
  writeFileSync(secret, "a secret of more than sixteen bytes\n");
  const port = 61_000 + (process.pid % 4_000);
  const script = `exec ${process.execPath} ${project}/dist/cli/main.js name-server --data ${folder}/name --listen 127.0.0.1:${String(port)} --secret-file ${secret}`;
  const server = shell(`echo $$ > ${folder}/pid; ${script}`, { seconds: 60, cwd: "/" });
  const status = (environment: Record<string, string>, ...more: string[]): ReturnType<typeof startDfs> =>
    startDfs(["status", `127.0.0.1:${String(port)}`, "--json", ...more], environment);
  try {
    let answer = await status({}, "--secret-file", secret);
    for (let i = 0; i < 40 && answer.status !== 0; i++) answer = await status({}, "--secret-file", secret);
    t.is(answer.status, 0, answer.output);
    t.is((await status({ DFS_SECRET: "a secret of more than sixteen bytes" })).status, 0);
    for (const environment of [{}, { DFS_SECRET: "another secret of sixteen bytes and more" }]) {
      const refused = await status(environment);
      t.is(refused.status, 1);
      t.false(refused.output.includes('"groups"'));
    }
    t.regex((await status({ DFS_SECRET: "short" })).output, /shorter than 16 bytes/);
  } finally {
    process.kill(Number(readFileSync(join(folder, "pid"), "utf8")), "SIGTERM");
    await server.catch(() => undefined);
  }
});

test.serial("the helpers of mount(8) and umount(8) understand what those pass", async (t) => {
  const helper = (name: string, ...args: string[]): Promise<string> =>
    shell(
      `status=0; ${process.execPath} ${project}/dist/cli/${name}.js "$@" 2>&1 || status=$?; echo "status $status"`.replace(
        '"$@"',
        args.map((arg) => `'${arg}'`).join(" "),
      ),
      { seconds: 90, cwd: "/" },
    );
  const { address, mnt } = second;
  t.regex(await helper("mount-helper", address, mnt, "-f", "-o", "rw"), /^status 0$/m);
  t.false(isMounted(mnt));
  t.regex(await helper("mount-helper", address, mnt, "-o", "rw,surely-not"), /unknown mount option[^]*status 1$/m);
  t.regex(await helper("mount-helper", address, `${mnt}/none`, "-o", "rw"), /does not exist[^]*status 32$/m);
  t.regex(
    await helper("mount-helper", address, mnt, "-s", "-o", "rw,nosuid,nodev,_netdev,defaults,noatime"),
    /^status 0$/m,
  );
  const line = readFileSync("/proc/self/mounts", "latin1")
    .split("\n")
    .find((text) => text.includes(` ${mnt} `));
  t.regex(line ?? "", new RegExp(`^${address} ${mnt} fuse\\.dfs rw,nosuid,nodev`));
  await cluster.sh("echo through > helper", { cwd: mnt });
  t.regex(await helper("umount-helper", mnt), /^status 0$/m);
  t.false(isMounted(mnt));
  t.is(await cluster.sh("cat helper"), "through\n");
  t.regex(await helper("umount-helper", mnt), /is not mounted\s+status 32/);
});

test.serial(
  "make install puts a program in place that mounts, and the helpers where mount(8) looks for them",
  async (t) => {
    t.timeout(300_000);
    const target = mkdtempSync(join(scratch, "install-"));
    await shell(
      // What was built is there; what npm has downloaded once it takes from its cache.
      `make -C ${project} -o build install DESTDIR=${target} PREFIX=/usr SBIN=/usr/sbin npm_config_prefer_offline=true`,
      { seconds: 280, cwd: "/" },
    );
    const links = await shell(`cd ${target}; readlink usr/bin/dfs usr/sbin/mount.dfs usr/sbin/umount.fuse.dfs`, {
      seconds: 10,
      cwd: "/",
    });
    t.deepEqual(links.trim().split("\n"), [
      "/usr/lib/dfs/dist/cli/main.js",
      "/usr/lib/dfs/dist/cli/mount-helper.js",
      "/usr/lib/dfs/dist/cli/umount-helper.js",
    ]);
    const program = join(target, "usr/lib/dfs/dist/cli");
    t.not(statSync(join(program, "main.js")).mode & 0o111, 0);
    await shell(
      `${program}/main.js --version; ${program}/mount-helper.js ${second.address} ${second.mnt} -o rw; ls ${second.mnt}/helper; ${program}/umount-helper.js ${second.mnt}`,
      { seconds: 90, cwd: "/" },
    );
  },
);

test.serial("cluster down leaves no process and no mount, and the data", async (t) => {
  const last = pids();
  const args = ["--dir", cluster.dir, "--mount", cluster.mnt];
  t.is((await startDfs(["cluster", "down", ...args])).status, 0);
  t.true(last.every((pid) => !isRunning(pid)));
  t.false(isMounted(cluster.mnt));
  rmdirSync(cluster.mnt);
  t.is((await startDfs(["cluster", "down", ...args])).status, 0);
  // The mount point is made when it is missing.
  cluster.up();
  t.is(await cluster.sh("cat kept"), "kept\n");
});
