/**
 * A Docker engine for a test. One that runs and has the base image is used as it is; else this starts one of its own: in a
 * network namespace (so that bridges and packet filters of the machine stay as they are), with its data, its socket and all
 * its processes' traces in one folder, and a base image that debootstrap makes (nothing can be pulled into there). Its
 * `remove` leaves nothing behind, and the next start removes what an interrupted run left.
 */
import { spawn, spawnSync } from "node:child_process";
import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { dirname, join } from "node:path";

const prefix = "/tmp/dfs-docker-";
const startMillis = 60_000;
const stopMillis = 20_000;

export interface DockerEngine {
  /** For DOCKER_HOST; undefined: as it is. */
  readonly host: string | undefined;
  /** The image that has Node and npm. */
  readonly base: string;
  remove(): Promise<void>;
}

/** Why there can be none here, or undefined. */
export const cannotRunContainers = ((): string | undefined => {
  if (runs("docker-compose", "version") || runs("docker", "compose", "version")) {
    if (runningEngine() !== undefined) return undefined;
    if (process.getuid?.() !== 0) return "a Docker engine of its own needs root";
    for (const tool of ["dockerd", "debootstrap", "ip", "nsenter"]) {
      if (spawnSync(tool, ["--version"], { stdio: "ignore" }).error !== undefined) return `${tool} is not installed`;
    }
    return undefined;
  }
  return "docker compose is not installed";
})();

export async function startEngine(): Promise<DockerEngine> {
  const running = runningEngine();
  if (running !== undefined) return { host: undefined, base: running, remove: () => Promise.resolve() };
  await removeLeftovers();
  const folder = mkdtempSync(`${prefix}${String(process.pid)}-`);
  const host = `unix://${folder}/socket`;
  try {
    must("ip", "netns", "add", namespaceOf(folder));
    must("ip", "-n", namespaceOf(folder), "link", "set", "lo", "up");
    startDaemon(folder, host);
    const end = performance.now() + startMillis;
    while (!docker(host, "version")) {
      if (performance.now() > end) throw new Error(`dockerd does not answer: ${daemonLog(folder)}`);
      await pause(200);
    }
    const base = "dfs-test-base";
    makeBase(folder, host, base);
    return { host, base, remove: () => removeEngine(folder) };
  } catch (error) {
    await removeEngine(folder);
    throw error;
  }
}

/** Its base image, if there is one that answers and has it. */
function runningEngine(): string | undefined {
  const base = process.env["BASE"] ?? "node:20";
  return runs("docker", "image", "inspect", base) ? base : undefined;
}

function startDaemon(folder: string, host: string): void {
  const log = openSync(join(folder, "log"), "a");
  const places = ["--data-root", join(folder, "data"), "--exec-root", join(folder, "exec")];
  const args = [`--net=/run/netns/${namespaceOf(folder)}`, "--", "dockerd", ...places];
  const child = spawn("nsenter", [...args, "--pidfile", join(folder, "pid"), "--host", host], {
    cwd: "/",
    detached: true,
    stdio: ["ignore", log, log],
  });
  child.unref();
  closeSync(log);
}

/** Debian, and this machine's own node and npm: what Debian has may be too old. */
function makeBase(folder: string, host: string, tag: string): void {
  const root = join(folder, "base");
  const release = /^VERSION_CODENAME=(\w+)/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? "bookworm";
  must("debootstrap", "--variant=minbase", release, root);
  const npm = dirname(dirname(realpathSync(must("sh", "-c", "command -v npm").trim())));
  mkdirSync(join(root, "usr/local/bin"), { recursive: true });
  mkdirSync(join(root, "usr/local/lib/node_modules"), { recursive: true });
  cpSync(realpathSync(process.execPath), join(root, "usr/local/bin/node"));
  cpSync(npm, join(root, "usr/local/lib/node_modules/npm"), { recursive: true, verbatimSymlinks: true });
  symlinkSync("../lib/node_modules/npm/bin/npm-cli.js", join(root, "usr/local/bin/npm"));
  must("sh", "-c", 'tar -C "$1" -c . | docker --host "$2" import - "$3"', "sh", root, host, tag);
  rmSync(root, { recursive: true, force: true });
}

async function removeEngine(folder: string): Promise<void> {
  const host = `unix://${folder}/socket`;
  if (docker(host, "version")) {
    spawnSync("sh", ["-c", 'docker --host "$1" ps -aq | xargs -r docker --host "$1" rm -f', "sh", host], {
      stdio: "ignore",
      timeout: 60_000,
    });
  }
  const daemon = daemonOf(folder);
  if (daemon !== undefined) process.kill(daemon, "SIGTERM");
  const end = performance.now() + stopMillis;
  while (daemonOf(folder) !== undefined && performance.now() < end) await pause(100);
  for (const pid of processesOf(folder)) kill(pid);
  const mounts = readFileSync("/proc/self/mounts", "latin1")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "")
    .filter((path) => path.startsWith(`${folder}/`));
  for (const path of mounts.reverse()) spawnSync("umount", ["-l", path], { stdio: "ignore" });
  spawnSync("ip", ["netns", "delete", namespaceOf(folder)], { stdio: "ignore" });
  rmSync(folder, { recursive: true, force: true });
}

/** What is left after the daemon's end: in its network namespace, and in the containers that its folder names. */
function processesOf(folder: string): number[] {
  const { stdout } = spawnSync("ip", ["netns", "pids", namespaceOf(folder)], { encoding: "utf8" });
  const inNetwork = stdout.split("\n").filter(Boolean).map(Number);
  const containers = existsSync(join(folder, "data/containers")) ? readdirSync(join(folder, "data/containers")) : [];
  const inContainers = readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .filter((pid) => {
      const groups = readOr(`/proc/${pid}/cgroup`);
      return containers.some((id) => groups.includes(id));
    });
  return [...inNetwork, ...inContainers.map(Number)];
}

function daemonOf(folder: string): number | undefined {
  const pid = readOr(join(folder, "pid")).trim();
  return pid !== "" && readOr(`/proc/${pid}/cmdline`).includes(folder) ? Number(pid) : undefined;
}

async function removeLeftovers(): Promise<void> {
  for (const entry of readdirSync("/tmp")) {
    const path = join("/tmp", entry);
    const owner = path.startsWith(prefix) ? /^\d+/.exec(path.slice(prefix.length))?.[0] : undefined;
    if (owner !== undefined && !existsSync(`/proc/${owner}`)) await removeEngine(path);
  }
}

function namespaceOf(folder: string): string {
  return `dfs-test-docker-${folder.slice(prefix.length)}`;
}

function daemonLog(folder: string): string {
  return readOr(join(folder, "log")).slice(-1_000);
}

function docker(host: string, ...args: string[]): boolean {
  return runs("docker", "--host", host, ...args);
}

function runs(command: string, ...args: string[]): boolean {
  return spawnSync(command, args, { stdio: "ignore", timeout: 10_000 }).status === 0;
}

/** Its output. */
function must(command: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8", timeout: 240_000 });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${stdout.slice(-1_000)}${stderr}`);
  return stdout;
}

function readOr(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

function pause(millis: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, millis));
}
