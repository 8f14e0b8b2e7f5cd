/**
 * `dfs cluster up|down|status`: a whole cluster on this machine, for `make up` and tests. Under the folder stand, for
 * each process (`name`, `storage-1`..., `client`), its data folder, NAME.pid and NAME.log.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { livingProcess, startDaemon, stopProcess, unlessEnding, writePidFile } from "./daemon.ts";
import { CommandFailure } from "./failure.ts";
import { mountAt, mountServer } from "./mounts.ts";
import type { StatusReply } from "../protocol/status.ts";
import { fetchStatus } from "./status.ts";
import { umount } from "./umount.ts";

export interface ClusterOptions {
  readonly dir: string;
  readonly port: number;
  readonly mount: string;
  readonly nodes: number;
  readonly replicas: number;
  readonly minReplicas?: number;
  /** Seconds of silence after which a storage node is down, and out. */
  readonly downAfter: number;
  readonly outAfter: number;
  /** As typed; handed on to the storage nodes. */
  readonly capacity: string | undefined;
  readonly say: (line: string) => void;
}

const stopMillis = 30_000;
const joinMillis = 30_000;

/** Starts what is not running and leaves the rest. */
export async function clusterUp(options: ClusterOptions): Promise<void> {
  const { say } = options;
  const dir = resolve(options.dir);
  mkdirSync(dir, { recursive: true });
  const host = "127.0.0.1";
  const nameServer = `${host}:${String(options.port)}`;
  const start = async (name: string, args: string[], where: string): Promise<void> => {
    const running = await unlessEnding(livingProcess(join(dir, `${name}.pid`)));
    const files = { logFile: join(dir, `${name}.log`), pidFile: join(dir, `${name}.pid`) };
    const pid = running?.pid ?? (await startDaemon(args, files));
    say(`${name.padEnd(10)} ${where}  pid ${String(pid)}${running === undefined ? "" : "  (was running)"}`);
  };
  const settings = [
    ...["--replicas", String(options.replicas)],
    ...(options.minReplicas === undefined ? [] : ["--min-replicas", String(options.minReplicas)]),
    ...["--down-after", String(options.downAfter), "--out-after", String(options.outAfter)],
  ];
  await start("name", ["name-server", "--data", join(dir, "name"), "--listen", nameServer, ...settings], nameServer);
  for (let i = 1; i <= options.nodes; i++) {
    const listen = `${host}:${String(options.port + 99 + i)}`;
    const capacity = options.capacity === undefined ? [] : ["--capacity", options.capacity];
    const args = ["--data", join(dir, `storage-${String(i)}`), "--listen", listen, "--name-server", nameServer];
    await start(`storage-${String(i)}`, ["storage-node", ...args, ...capacity], listen);
  }
  for (const name of await nodesJoined(options.port, options.nodes, dir)) {
    const pidFile = join(dir, `${name}.pid`);
    const running = livingProcess(pidFile);
    if (running !== undefined) await stopProcess(running, stopMillis);
    rmSync(pidFile, { force: true });
    say(`${name.padEnd(10)} was removed from the cluster: remove ${join(dir, name)} to let it join as a new one`);
  }
  await mountClient(dir, nameServer, options);
}

/** Resolves with those that will never join, because they were removed from the cluster. */
async function nodesJoined(port: number, nodes: number, dir: string): Promise<string[]> {
  const end = performance.now() + joinMillis;
  for (;;) {
    const status = await statusOnceServing(port, end);
    const up = status.nodes.filter((node) => node.state === "up" || node.state === "draining").length;
    const gone = new Set<string>(status.nodes.filter(({ state }) => state === "removed").map(({ id }) => id));
    const names = Array.from({ length: nodes }, (_, i) => `storage-${String(i + 1)}`);
    const removed = gone.size === 0 ? [] : names.filter((name) => gone.has(identityIn(join(dir, name))));
    if (up + removed.length >= nodes) return removed;
    if (performance.now() > end) {
      const reasons = status.warnings.map((warning) => `\n${warning}`).join("");
      throw new CommandFailure(
        `only ${String(up)} of ${String(nodes)} storage nodes have joined: see their logs${reasons}`,
      );
    }
    await new Promise((done) => setTimeout(done, 50));
  }
}

/** It may have to fetch its metadata from the storage nodes first. */
async function statusOnceServing(port: number, end: number): Promise<StatusReply> {
  for (;;) {
    try {
      return await fetchStatus([{ host: "127.0.0.1", port }], undefined);
    } catch (error) {
      if (performance.now() > end) throw error;
    }
    await new Promise((done) => setTimeout(done, 50));
  }
}

/** The id of the storage node whose folder it is; empty: none yet. */
function identityIn(folder: string): string {
  const file = join(folder, "node.json");
  if (!existsSync(file)) return "";
  const { node } = JSON.parse(readFileSync(file, "utf8")) as { node?: string };
  return node ?? "";
}

async function mountClient(dir: string, nameServer: string, options: ClusterOptions): Promise<void> {
  const mountPoint = resolve(options.mount);
  const pidFile = join(dir, "client.pid");
  const server = await unlessEnding(mountServer(mountPoint));
  const entry = mountAt(mountPoint);
  if (entry !== undefined && server !== undefined) {
    if (entry.source !== nameServer) {
      throw new CommandFailure(`${mountPoint} is already the mount of ${entry.source}: choose another one with MNT=`);
    }
    writePidFile(pidFile, server.pid);
    options.say(`client     ${mountPoint}  pid ${String(server.pid)}  (was running)`);
    return;
  }
  if (entry?.type.startsWith("fuse.dfs") === true) await umount(mountPoint, { lazy: true });
  mkdirSync(mountPoint, { recursive: true });
  const pid = await startDaemon(["mount", "-f", nameServer, mountPoint], { logFile: join(dir, "client.log"), pidFile });
  options.say(`client     ${mountPoint}  pid ${String(pid)}`);
}

/** Unmounts, then stops clients before storage nodes before the name server. What is not running is skipped. */
export async function clusterDown(options: {
  dir: string;
  mount: string;
  port: number;
  say: (line: string) => void;
}): Promise<void> {
  const dir = resolve(options.dir);
  const mountPoint = resolve(options.mount);
  const pidFiles = existsSync(dir) ? readdirSync(dir).filter((file) => file.endsWith(".pid")) : [];
  // A client ends by being unmounted.
  const ran = new Set(pidFiles.filter((file) => livingProcess(join(dir, file)) !== undefined));
  await unmountIfOurs(mountPoint, `127.0.0.1:${String(options.port)}`, dir);
  const order = (file: string): number => (file === "client.pid" ? 0 : file === "name.pid" ? 2 : 1);
  for (const file of pidFiles.sort((a, b) => order(a) - order(b))) {
    const running = livingProcess(join(dir, file));
    if (running !== undefined) await stopProcess(running, stopMillis);
    rmSync(join(dir, file), { force: true });
    options.say(`${file.slice(0, -4).padEnd(10)} ${ran.has(file) ? "stopped" : "was not running"}`);
  }
}

/** Ours is what is mounted from this cluster's name server, by whichever process. */
async function unmountIfOurs(mountPoint: string, nameServer: string, dir: string): Promise<void> {
  const entry = mountAt(mountPoint);
  if (entry?.type.startsWith("fuse.dfs") !== true || entry.source !== nameServer) return;
  const server = mountServer(mountPoint);
  // Without a name server there is nobody to write to, and nothing to wait for.
  const lazy = server === undefined || livingProcess(join(dir, "name.pid")) === undefined;
  try {
    await umount(mountPoint, { lazy });
  } catch (error) {
    // Something still has files open there: it keeps them, and sees errors once the client has ended.
    const busy = spawnSync("umount", ["-i", "-l", mountPoint], { stdio: "ignore" });
    if (busy.status !== 0) throw error;
  }
}
