/**
 * A cluster in a network of its own (network.ts): the name server at the hub, the storage nodes there too or each on a machine
 * of its own, and a mount on each of the other machines. Real processes, a cluster secret, folders under /tmp, and an end that leaves nothing behind, also after a
 * failure or of a run that was interrupted.
 */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { StatusReply } from "../../src/protocol/status.ts";
import { killServersOf } from "./driver-process.ts";
import { buildNetwork, type ConnectedMachine, type Machine } from "./network.ts";

const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const prefix = "/tmp/dfs-hosts-";
const namePort = 7400;
/** Where the storage nodes are at the hub. */
const nodesAtHub = 3;

export interface Host {
  readonly mnt: string;
  readonly machine: ConnectedMachine;
  log(): string;
}

export interface StorageHost {
  readonly machine: ConnectedMachine;
  /** Of its storage node. */
  readonly address: string;
}

export interface Hosts {
  readonly hosts: readonly Host[];
  /** Empty when the nodes are at the hub. */
  readonly storage: readonly StorageHost[];
  status(): StatusReply;
  /** Of the name server. */
  log(): string;
  down(): Promise<void>;
}

/**
 * @param count machines that mount
 * @param storageLabels a storage node on a machine of its own for each of these host labels; absent: some at the hub
 */
export async function startHosts(
  count: number,
  { storageLabels = [] }: { storageLabels?: readonly string[] } = {},
): Promise<Hosts> {
  removeLeftovers();
  const network = buildNetwork(count + storageLabels.length);
  const dir = mkdtempSync(`${prefix}${String(process.pid)}-`);
  // The mount points are below it.
  chmodSync(dir, 0o755);
  const env = { ...process.env, DFS_SECRET: randomBytes(16).toString("hex") };
  const server = `${network.hub.address}:${String(namePort)}`;
  const servers: ChildProcess[] = [];

  const dfs = (machine: Machine, ...args: string[]): { status: number | null; stdout: string; stderr: string } => {
    const [command, ...rest] = machine.inside([process.execPath, main, ...args]);
    return spawnSync(command, rest, { encoding: "utf8", cwd: "/", env, timeout: 20_000 });
  };
  const serve = async (machine: Machine, name: string, ...args: string[]): Promise<void> => {
    const [command, ...rest] = machine.inside([process.execPath, main, ...args, "--data", join(dir, name)]);
    const log = openSync(join(dir, `${name}.log`), "a");
    servers.push(spawn(command, rest, { cwd: "/", env, stdio: ["ignore", log, log] }));
    closeSync(log);
    await until(`${name} serves`, () =>
      /"msg":"(serving|listening)"/.test(readFileSync(join(dir, `${name}.log`), "utf8")),
    );
  };
  const hosts = network.machines.slice(0, count).map((machine, i): Host => {
    const name = `host-${String(i + 1)}`;
    return { mnt: join(dir, name), machine, log: () => readFileSync(join(dir, `${name}.log`), "utf8") };
  });
  const storage = network.machines.slice(count).map((machine) => ({ machine, address: `${machine.address}:7500` }));
  const cluster: Hosts = {
    hosts,
    storage,
    status: () => JSON.parse(dfs(network.hub, "status", server, "--json").stdout) as StatusReply,
    log: () => readFileSync(join(dir, "name.log"), "utf8"),
    async down() {
      for (const { mnt, machine } of hosts) dfs(machine, "umount", mnt);
      for (const child of servers.reverse()) await stopped(child);
      network.remove();
      removeFolder(dir);
    },
  };
  try {
    await serve(network.hub, "name", "name-server", "--listen", server);
    const places =
      storage.length > 0
        ? storage.map(({ machine, address }, i) => ({ machine, address, label: storageLabels[i] ?? "" }))
        : Array.from({ length: nodesAtHub }, (_, i) => {
            return { machine: network.hub, address: `${network.hub.address}:${String(namePort + 100 + i)}`, label: "" };
          });
    for (const [i, { machine, address, label }] of places.entries()) {
      const labelled = label === "" ? [] : ["--host-label", label];
      const args = ["--listen", address, "--name-server", server, ...labelled];
      await serve(machine, `storage-${String(i + 1)}`, "storage-node", ...args);
    }
    await until("the storage nodes have joined", () => upNodes(cluster.status()) === places.length);
    for (const { mnt, machine } of hosts) {
      mkdirSync(mnt);
      const { status, stderr } = dfs(machine, "mount", "--log", `${mnt}.log`, server, mnt);
      if (status !== 0) throw new Error(`mounting at ${mnt}: ${stderr}`);
    }
  } catch (error) {
    await cluster.down();
    throw error;
  }
  return cluster;
}

function upNodes({ nodes: all }: StatusReply): number {
  return all.filter(({ state }) => state === "up").length;
}

/** In order, if that takes no longer than it should. */
async function stopped(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), 10_000);
  await ended;
  clearTimeout(timer);
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const end = performance.now() + 30_000;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`not after 30 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The processes of an interrupted run end with its namespaces; here are its mounts and folders. */
function removeLeftovers(): void {
  for (const entry of readdirSync("/tmp")) {
    const path = join("/tmp", entry);
    const owner = path.startsWith(prefix) ? /^\d+/.exec(path.slice(prefix.length))?.[0] : undefined;
    if (owner === undefined) continue;
    try {
      process.kill(Number(owner), 0);
    } catch {
      removeFolder(path);
    }
  }
}

function removeFolder(dir: string): void {
  const mounts = readFileSync("/proc/self/mounts", "latin1")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "")
    .filter((path) => path.startsWith(`${dir}/`));
  for (const mount of mounts) {
    killServersOf(mount);
    spawnSync("umount", ["-i", "-l", mount], { stdio: "ignore" });
  }
  for (const name of readdirSync(dir).filter((entry) => /^host-\d+$/.test(entry))) {
    try {
      // Never into a mount: this fails there, and so the rest stays for a person to look at.
      rmdirSync(join(dir, name));
    } catch {
      return;
    }
  }
  rmSync(dir, { recursive: true, force: true });
}
