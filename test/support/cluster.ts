/**
 * A real cluster for tests: processes, ports and folders of its own under /tmp, a real mount, and an end that leaves
 * nothing behind, also after a failure. Nothing here touches the mount from the test's own process.
 */
import { spawn, spawnSync, type SpawnSyncReturns } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { StatusReply } from "../../src/protocol/status.ts";
import { killServersOf } from "./driver-process.ts";

const project = fileURLToPath(new URL("../..", import.meta.url));
const dfs = join(project, "dist/cli/main.js");
const prefix = "/tmp/dfs-test-";
/** From the name server's up to the last one that a test may use. */
const clusterPorts = 200;

export interface ClusterOptions {
  readonly nodes?: number;
  readonly replicas?: number;
  readonly minReplicas?: number;
  readonly capacity?: string;
  /** Seconds of silence after which a storage node is down, and out. */
  readonly downAfter?: number;
  readonly outAfter?: number;
}

export interface Cluster {
  /** The mount point. */
  readonly mnt: string;
  /** Logs, pid files, data. */
  readonly dir: string;
  readonly port: number;
  /** Runs `dfs ...args`. */
  dfs(...args: string[]): SpawnSyncReturns<string>;
  /** Runs a shell script with $MNT set, in the mount point unless told otherwise; throws with its output if it fails. */
  sh(script: string, options?: { seconds?: number; cwd?: string }): Promise<string>;
  /** Starts what is not running (also after a kill); so many storage nodes. */
  up(nodes?: number): void;
  /** `name`, `storage-1`..., `client`: the pid in its pid file. Of the client that is its supervisor. */
  pid(name: string): number;
  /** Of the process that serves the mount, which the client's supervisor has started. */
  driverPid(): number;
  /** All processes of that name: of the client its supervisor, so that it does nothing about the other, and its driver. */
  kill(name: string, signal?: NodeJS.Signals): void;
  status(): StatusReply;
  log(name: string): string;
  down(): void;
}

export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  removeLeftovers();
  const dir = mkdtempSync(prefix);
  // Tests act as other users, too.
  chmodSync(dir, 0o755);
  const mnt = join(dir, "mnt");
  mkdirSync(mnt);
  // One more than it starts with: a test may add it.
  const port = await freePort((options.nodes ?? 3) + 1);
  const clusterDir = join(dir, "cluster");
  writeFileSync(join(dir, "owner"), `${String(process.pid)} ${String(port)}`);
  const cluster: Cluster = {
    mnt,
    dir: clusterDir,
    port,
    dfs: (...args) => spawnSync(process.execPath, [dfs, ...args], { encoding: "utf8", cwd: "/", timeout: 90_000 }),
    sh: (script, { seconds = 240, cwd = mnt } = {}) =>
      shell(script, { seconds, cwd, env: { ...process.env, MNT: mnt } }),
    up(nodes = options.nodes) {
      const args = ["cluster", "up", "--dir", clusterDir, "--mount", mnt, "--port", String(port)];
      if (nodes !== undefined) args.push("--nodes", String(nodes));
      if (options.replicas !== undefined) args.push("--replicas", String(options.replicas));
      if (options.minReplicas !== undefined) args.push("--min-replicas", String(options.minReplicas));
      if (options.capacity !== undefined) args.push("--capacity", options.capacity);
      if (options.downAfter !== undefined) args.push("--down-after", String(options.downAfter));
      if (options.outAfter !== undefined) args.push("--out-after", String(options.outAfter));
      const result = this.dfs(...args);
      if (result.status !== 0) throw new Error(`cluster up: ${result.stdout}${result.stderr}`);
    },
    pid: (name) => Number(readFileSync(join(clusterDir, `${name}.pid`), "utf8").split("\n")[0]),
    driverPid() {
      const [driver] = driversOf(this.pid("client"));
      if (driver === undefined) throw new Error("the client has no driver now");
      return driver;
    },
    kill(name, signal = "SIGKILL") {
      const pid = this.pid(name);
      const children = name === "client" ? driversOf(pid) : [];
      // So that the driver has no time to notice the end of its supervisor.
      if (signal === "SIGKILL") for (const child of children) process.kill(child, "SIGSTOP");
      process.kill(pid, signal);
      for (const child of children) process.kill(child, signal);
    },
    status() {
      return JSON.parse(this.dfs("status", `127.0.0.1:${String(port)}`, "--json").stdout) as StatusReply;
    },
    log: (name) => readFileSync(join(clusterDir, `${name}.log`), "utf8"),
    down() {
      this.dfs("cluster", "down", "--dir", clusterDir, "--mount", mnt, "--port", String(port));
      removeTest(dir);
    },
  };
  try {
    cluster.up();
  } catch (error) {
    cluster.down();
    throw error;
  }
  return cluster;
}

/** Of a client's supervisor: its living drivers, one or, for a moment, none. */
export function driversOf(supervisor: number): number[] {
  const read = (path: string): string => {
    try {
      return readFileSync(path, "latin1");
    } catch {
      return "";
    }
  };
  const children = read(`/proc/${String(supervisor)}/task/${String(supervisor)}/children`)
    .split(" ")
    .filter(Boolean);
  return children.filter((pid) => read(`/proc/${pid}/cmdline`).includes("\0--supervised\0")).map(Number);
}

/** Runs a script with `bash -e`; resolves with its standard output. */
export function shell(
  script: string,
  options: { seconds: number; cwd: string; env?: NodeJS.ProcessEnv },
): Promise<string> {
  return new Promise((resolve, reject) => {
    // The script changes into the folder itself: spawn would do it from this process, which must not touch a mount.
    const child = spawn("bash", ["-euo", "pipefail", "-c", `cd "$CWD"; ${script}`], {
      cwd: "/",
      env: { ...(options.env ?? process.env), CWD: options.cwd },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    const chunks: Buffer[] = [];
    const errors: Buffer[] = [];
    child.stdout.on("data", (data: Buffer) => chunks.push(data));
    child.stderr.on("data", (data: Buffer) => errors.push(data));
    let isLate = false;
    let waiting = "";
    const timer = setTimeout(() => {
      isLate = true;
      if (child.pid === undefined) return;
      waiting = processesOf(child.pid);
      process.kill(-child.pid, "SIGKILL");
    }, options.seconds * 1000);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      const out = Buffer.concat(chunks).toString();
      if (code === 0) resolve(out);
      else {
        const how = isLate ? `not done after ${String(options.seconds)} s` : `ended with ${String(code ?? signal)}`;
        reject(
          new Error(
            `${script.trim().slice(0, 200)}\n${how}\n${out.slice(-2_000)}\n${Buffer.concat(errors).toString().slice(-2_000)}${waiting}`,
          ),
        );
      }
    });
  });
}

/** The processes of a session, and where in the kernel they wait. (Their arguments may be on pages that wait for the mount.) */
function processesOf(session: number): string {
  const { stdout } = spawnSync("ps", ["-s", String(session), "-o", "pid=,stat=,comm="], {
    encoding: "utf8",
    timeout: 5_000,
    killSignal: "SIGKILL",
  });
  const lines = stdout.trim().split("\n").slice(0, 20);
  return lines
    .map((line) => {
      try {
        return `${line}\n${readFileSync(`/proc/${String(Number.parseInt(line))}/stack`, "utf8")}`;
      } catch {
        return `${line}\n`;
      }
    })
    .join("");
}

/**
 * A name-server port whose storage-node ports are free too. Below 32768: from there on the kernel gives ports to outgoing
 * connections, of which one could take the port of a server that a test has killed and is about to start again.
 */
async function freePort(nodes: number): Promise<number> {
  // Of a cluster beside this one some may be free for the moment: of processes that its test has killed.
  const others = clusterFolders().flatMap((dir) => ownerOf(dir)?.port ?? []);
  for (let attempt = 0; attempt < 50; attempt++) {
    const port = 20_000 + ((process.pid * 131 + attempt * 977) % 12_000);
    if (others.some((other) => Math.abs(other - port) < clusterPorts)) continue;
    const wanted = [port, ...Array.from({ length: nodes }, (_, i) => port + 100 + i)];
    if ((await Promise.all(wanted.map(isFree))).every(Boolean)) return port;
  }
  throw new Error("no free ports");
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => {
      resolve(false);
    });
    server.listen(port, "127.0.0.1", () =>
      server.close(() => {
        resolve(true);
      }),
    );
  });
}

/** Folders of all tests' clusters. The others that begin so are mount points, into which nobody may look: `besides`. */
function clusterFolders(): string[] {
  const isCluster = (path: string): boolean => path.startsWith(prefix) && !path.slice(prefix.length).includes("-");
  return readdirSync("/tmp")
    .map((entry) => join("/tmp", entry))
    .filter(isCluster);
}

/** Undefined: another test has just made the folder, or just removed it. */
function ownerOf(dir: string): { readonly pid: number; readonly port: number } | undefined {
  try {
    const [pid = NaN, port = NaN] = readFileSync(join(dir, "owner"), "utf8").split(" ").map(Number);
    return { pid, port };
  } catch {
    return undefined;
  }
}

/** What an interrupted run left: its mounts, its processes (by their pid files), its folders. */
function removeLeftovers(): void {
  const entries = readdirSync("/tmp");
  for (const dir of clusterFolders()) {
    const owner = ownerOf(dir);
    if (owner === undefined) continue;
    try {
      process.kill(owner.pid, 0);
    } catch {
      const besides = entries.map((entry) => join("/tmp", entry)).filter((path) => path.startsWith(`${dir}-`));
      // What they still have to write interests nobody, and one that is stopped would keep the others waiting.
      for (const mnt of [join(dir, "mnt"), ...besides]) killServersOf(mnt);
      const args = ["--dir", join(dir, "cluster"), "--mount", join(dir, "mnt"), "--port", String(owner.port)];
      spawnSync(process.execPath, [dfs, "cluster", "down", ...args], { cwd: "/", timeout: 60_000 });
      removeTest(dir);
      for (const mnt of besides) removeMount(mnt);
    }
  }
  for (const mnt of entries.map((entry) => join("/tmp", entry)).filter(isLost)) {
    killServersOf(mnt);
    removeMount(mnt);
  }
}

/** One whose cluster's folder has gone before it, by another run. */
function isLost(path: string): boolean {
  const cluster = /^(.*dfs-test-[A-Za-z0-9]{6})-[a-z-]+$/.exec(path)?.[1];
  return cluster !== undefined && !existsSync(cluster);
}

function removeMount(mnt: string): void {
  spawnSync("umount", ["-i", "-l", mnt], { stdio: "ignore" });
  try {
    rmdirSync(mnt);
  } catch {
    // It is still a mount, or no mount point at all: for a person to look at.
  }
}

function removeTest(dir: string): void {
  spawnSync("umount", ["-i", "-l", join(dir, "mnt")], { stdio: "ignore" });
  try {
    // Never into a mount: rmdir fails there, and so the rest stays for a person to look at.
    rmdirSync(join(dir, "mnt"));
  } catch {
    return;
  }
  rmSync(dir, { recursive: true, force: true });
}
