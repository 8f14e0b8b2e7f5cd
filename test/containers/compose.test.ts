/**
 * The image and the compose file, with a real Docker engine: what `make docker-*` promises. The tests stand in their order:
 * one cluster goes through all of them.
 */
import test, { type ExecutionContext } from "ava";
import { cannotRunContainers } from "../support/docker-engine.ts";
import { prepareCompose, type ComposeCluster } from "./compose-cluster.ts";

let cluster: ComposeCluster | undefined;

test.before(async (t) => {
  t.timeout(600_000);
  if (cannotRunContainers === undefined) cluster = await prepareCompose();
});

test.after.always(async () => {
  await cluster?.remove();
});

function containerTest(title: string, act: (t: ExecutionContext, c: ComposeCluster) => Promise<void>): void {
  if (cannotRunContainers !== undefined) {
    test.serial.skip(`${title} (${cannotRunContainers})`, () => undefined);
    return;
  }
  test.serial(title, async (t) => {
    t.timeout(300_000);
    if (cluster === undefined) throw new Error("there is no engine");
    try {
      await act(t, cluster);
    } catch (error) {
      t.log(cluster.docker("ps", "--all").stdout);
      throw error;
    }
  });
}

containerTest(
  "the image is built without a package registry, its servers are not root and watch their health",
  async (t, c) => {
    await c.make("docker-build", { variables: ["OFFLINE=1"], seconds: 280 });
    const [image] = JSON.parse(c.docker("image", "inspect", c.image).stdout) as [
      { Config: { User: string; Healthcheck?: { Test: string[] } } },
    ];
    t.is(image.Config.User, "dfs");
    t.truthy(image.Config.Healthcheck?.Test);
    const dropped = c.docker("run", "--rm", "--entrypoint", "ls", c.image, "/opt/dfs/node_modules").stdout;
    t.regex(dropped, /^lmdb$/m);
    t.notRegex(dropped, /^typescript$/m, "what only development needs is left out");
  },
);

containerTest("a server without a secret refuses to listen in its container, and says what to do", async (t, c) => {
  const args = ["name-server", "--data", "/var/lib/dfs", "--listen", "0.0.0.0:7400"];
  const refused = c.docker("run", "--rm", "--network", "none", c.image, ...args);
  t.is(refused.status, 1);
  t.regex(refused.stderr, /set a cluster secret \(--secret-file or DFS_SECRET\)/);
  await Promise.resolve();
});

containerTest("docker-up: all are healthy, the servers without any right, the client has it mounted", async (t, c) => {
  await c.make("docker-up");
  const services = ["name", "storage-1", "storage-2", "storage-3", "client"];
  await until(t, 60, "all are healthy", () =>
    services.every((service) => health(c, service) === "healthy") ? undefined : c.docker("ps", "--all").stdout,
  );
  await until(t, 30, "three nodes are up", () =>
    wrongNodes(c, { "storage-1": "up", "storage-2": "up", "storage-3": "up" }),
  );
  for (const service of services.slice(0, 4)) {
    const status = c.docker("exec", c.container(service), "cat", "/proc/1/status").stdout;
    t.notRegex(status, /^Uid:\s+0\s/m, service);
    t.regex(status, /^CapEff:\s+0+$/m, service);
  }
  t.regex(await c.inMount("pwd; stat -f -c %T ."), /^\/mnt\/dfs\nfuseblk|^\/mnt\/dfs\nfuse/m);
  t.regex(await c.make("docker-status"), /storage-3:7500 +up/);
  const [network] = JSON.parse(c.docker("network", "inspect", `${c.image}_cluster`).stdout) as [{ Internal: boolean }];
  t.true(network.Internal, "nothing of it is reachable from outside");
});

containerTest(
  "docker-kill: programs go on without that node, and docker-up brings it back with its blocks",
  async (t, c) => {
    await c.inMount(`head -c 20000000 /dev/urandom > before; sync before; md5sum before > sums`);
    const before = nodes(c);
    const writing = c.inMount(`for i in $(seq 8); do
    head -c 3000000 /dev/urandom > during.$i; sync during.$i; md5sum during.$i >> sums
  done`);
    await c.make("docker-kill", { variables: ["NODE=2"] });
    await writing;
    await until(t, 60, "node 2 is down", () =>
      wrongNodes(c, { "storage-1": "up", "storage-2": "down", "storage-3": "up" }),
    );
    await remount(c);
    t.notRegex(await c.inMount("md5sum -c sums"), /FAILED/, "every byte is there without node 2");
    await c.make("docker-up");
    await until(t, 60, "node 2 is back", () =>
      wrongNodes(c, { "storage-1": "up", "storage-2": "up", "storage-3": "up" }),
    );
    t.deepEqual(
      nodes(c).map(({ id }) => id),
      before.map(({ id }) => id),
      "it is the node that it was",
    );
  },
);

containerTest("docker-scale NODES=5 adds nodes, which get new blocks; NODES=3 stops them", async (t, c) => {
  const all = { "storage-1": "up", "storage-2": "up", "storage-3": "up" };
  await c.make("docker-scale", { variables: ["NODES=5"] });
  await until(t, 60, "five nodes are up", () => wrongNodes(c, { ...all, "storage-4": "up", "storage-5": "up" }));
  await until(t, 60, "the new ones have blocks", async () => {
    await c.inMount("rm -f spread; head -c 20000000 /dev/urandom > spread; sync spread");
    const empty = nodes(c).filter(({ blocks }) => blocks === 0);
    return empty.length === 0 ? undefined : `${empty.map(({ address }) => address).join()} without blocks`;
  });
  // Their blocks have to be somewhere else when they go; until then the file that is on them goes first.
  await c.inMount("rm spread");
  await c.make("docker-scale", { variables: ["NODES=3"] });
  await until(t, 60, "the others are stopped", () =>
    wrongNodes(c, { ...all, "storage-4": "down", "storage-5": "down" }),
  );
  await c.make("docker-scale", { variables: ["NODES=5"] });
});

containerTest("the name server's container killed: the mount waits and goes on", async (t, c) => {
  c.docker("kill", c.container("name"));
  const waiting = c.inMount("echo later > later; sync later; md5sum later >> sums", 100);
  await c.make("docker-up");
  await waiting;
  t.notRegex(await c.inMount("md5sum -c sums"), /FAILED/);
});

containerTest("docker-down and docker-up: the volumes keep everything, also what was not synced", async (t, c) => {
  await c.inMount("head -c 9000000 /dev/urandom > last; md5sum last >> sums");
  await c.make("docker-down", { seconds: 200 });
  t.is(c.docker("ps", "--all", "--quiet", "--filter", `name=${c.image}_`).stdout, "", "no container is left");
  await c.make("docker-up");
  await c.make("docker-scale", { variables: ["NODES=5"] });
  const text = await c.inMount("md5sum -c sums");
  t.notRegex(text, /FAILED/);
  t.is(text.match(/: OK$/gm)?.length, 11);
});

type States = Readonly<Record<string, string>>;

function nodes(c: ComposeCluster): ReturnType<ComposeCluster["status"]>["nodes"][number][] {
  return [...c.status().nodes].sort((a, b) => a.address.localeCompare(b.address));
}

/** Undefined when they are so, else how they are. */
function wrongNodes(c: ComposeCluster, wanted: States): string | undefined {
  const have = Object.fromEntries(nodes(c).map(({ address, state }) => [address.replace(":7500", ""), state]));
  const isSo =
    Object.keys(have).length === Object.keys(wanted).length &&
    Object.entries(wanted).every(([node, state]) => (have[node] === "up") === (state === "up"));
  return isSo ? undefined : JSON.stringify(have);
}

function health(c: ComposeCluster, service: string): string {
  return c.docker("inspect", "--format", "{{.State.Health.Status}}", c.container(service)).stdout.trim();
}

/** So that what is read comes from the nodes. */
async function remount(c: ComposeCluster): Promise<void> {
  c.docker("restart", "--time", "60", c.container("client"));
  const end = performance.now() + 60_000;
  while (c.docker("exec", c.container("client"), "mountpoint", "-q", "/mnt/dfs").status !== 0) {
    if (performance.now() > end) throw new Error("the client has not mounted again");
    await pause(200);
  }
}

/** @param problem what is not yet so */
async function until(
  t: ExecutionContext,
  seconds: number,
  what: string,
  problem: () => string | undefined | Promise<string | undefined>,
): Promise<void> {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    const left = await problem();
    if (left === undefined) {
      t.pass(what);
      return;
    }
    if (performance.now() > end) throw new Error(`not after ${String(seconds)} s: ${what}: ${left}`);
    await pause(300);
  }
}

function pause(millis: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, millis));
}
