/** One round of the kill matrix on a cluster that is well: programs work, the fault hits, they go on, everything is compared. */
import type { Cluster } from "../../support/cluster.ts";
import type { Round } from "./cells.ts";
import { startLoad } from "./load.ts";

const servers = ["name", "storage-1", "storage-2", "storage-3"];
/** A waiting program waits for what is away, and a busy machine takes its time. */
const patienceSeconds = 240;

/** Resolves with what was compared; rejects with what was wrong. The cluster is well again when it resolves. */
export async function playRound(cluster: Cluster, round: Round): Promise<string> {
  const folder = `${cluster.mnt}/round-${String(round.seed)}`;
  const load = await startLoad(folder, cluster.dir, round);
  try {
    await load.progress(2, patienceSeconds);
    await pause(round.beforeMillis);
    await hit(cluster, round);
    await load.progress(2, patienceSeconds);
    await load.stop(patienceSeconds);
    await nodesUp(cluster);
    // So that what is compared comes from the servers.
    const unmounted = cluster.dfs("umount", cluster.mnt);
    if (unmounted.status !== 0) throw new Error(`umount: ${unmounted.stderr}`);
    cluster.up();
    const found = await load.verify();
    checkCluster(cluster);
    await cluster.sh(`rm -rf '${folder}'`, { cwd: "/", seconds: 120 });
    return found;
  } finally {
    load.remove();
  }
}

async function hit(cluster: Cluster, { target, fault, awayMillis }: Round): Promise<void> {
  if (fault === "stop") return stopAndContinue(cluster, target, awayMillis);
  // Its supervisor starts a driver again at once. Late: the supervisor goes, too, and somebody mounts again.
  if (target === "driver" && fault !== "restart-late") process.kill(cluster.driverPid(), "SIGKILL");
  else for (const name of processesOf(target)) cluster.kill(name);
  await pause(awayMillis);
  cluster.up();
}

async function stopAndContinue(cluster: Cluster, target: Round["target"], millis: number): Promise<void> {
  if (target === "driver") {
    // Its supervisor ends it.
    process.kill(cluster.driverPid(), "SIGSTOP");
    await pause(millis);
    return;
  }
  for (const name of processesOf(target)) cluster.kill(name, "SIGSTOP");
  await pause(millis);
  for (const name of processesOf(target).reverse()) cluster.kill(name, "SIGCONT");
}

function processesOf(target: Round["target"]): string[] {
  if (target === "all") return ["client", ...servers];
  return [target === "driver" ? "client" : target];
}

async function nodesUp(cluster: Cluster): Promise<void> {
  const end = performance.now() + 60_000;
  for (;;) {
    const down = cluster.status().nodes.filter(({ state }) => state !== "up");
    if (down.length === 0) return;
    if (performance.now() > end) throw new Error(`not up: ${down.map(({ address }) => address).join()}`);
    await pause(200);
  }
}

/** Every copy of every block is read. */
function checkCluster(cluster: Cluster): void {
  const checked = cluster.dfs("fsck", "--data", "--name-server", `127.0.0.1:${String(cluster.port)}`);
  if (checked.status !== 0) {
    throw new Error(`dfs fsck ended with ${String(checked.status)}: ${checked.stdout.slice(-1_500)}${checked.stderr}`);
  }
  const { groups } = cluster.status();
  if (groups.lost > 0) throw new Error(`${String(groups.lost)} groups are lost`);
}

function pause(millis: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, millis));
}
