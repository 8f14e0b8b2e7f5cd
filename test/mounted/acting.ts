/** What the tests on real mounts share: other processes that act, a second mount of the same cluster, looking at logs. */
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmdirSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { Peer } from "../conformance/peer.ts";
import { shell, type Cluster } from "../support/cluster.ts";

const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

/** Ends the acting processes after use, also when the test fails. */
export async function withPeers<T>(count: number, act: (...peers: Peer[]) => Promise<T> | T): Promise<T> {
  const peers = Array.from({ length: count }, () => new Peer());
  try {
    return await act(...peers);
  } finally {
    for (const peer of peers) peer.close();
  }
}

/** Asks until it holds; fails with the sentence after `seconds`. */
export async function eventually(what: string, holds: () => boolean, seconds = 30): Promise<void> {
  const end = performance.now() + seconds * 1000;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`not after ${String(seconds)} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export interface Ended {
  readonly status: number;
  readonly output: string;
}

/** Runs `dfs ...args` without waiting here: the promise resolves when it has ended. */
export function startDfs(args: readonly string[], environment: Record<string, string> = {}): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [main, ...args], {
      cwd: "/",
      env: { ...process.env, ...environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const output: Buffer[] = [];
    const timer = setTimeout(() => child.kill("SIGKILL"), 90_000);
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (data: Buffer) => output.push(data));
    child.on("error", reject);
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({ status: code ?? -1, output: Buffer.concat(output).toString() });
    });
  });
}

/** Mounts the cluster once more, elsewhere. Each one has its own name. */
export class SecondMount {
  readonly mnt: string;
  private readonly cluster: Cluster;
  private readonly name: string;

  constructor(cluster: Cluster, name = "second") {
    this.cluster = cluster;
    this.name = name;
    // Beside the cluster's folder, not in it: that is removed with all it holds.
    this.mnt = `${dirname(cluster.dir)}-${name}`;
    mkdirSync(this.mnt);
  }

  get address(): string {
    return `127.0.0.1:${String(this.cluster.port)}`;
  }
  /** Of its process. */
  get logFile(): string {
    return `${this.cluster.dir}/${this.name}.log`;
  }

  async mount(...options: string[]): Promise<void> {
    const { status, output } = await startDfs(["mount", ...options, "--log", this.logFile, this.address, this.mnt]);
    if (status !== 0) throw new Error(`mounting once more: ${output}`);
  }
  async umount(): Promise<void> {
    const { status, output } = await startDfs(["umount", this.mnt]);
    if (status !== 0) throw new Error(`unmounting ${this.mnt}: ${output}`);
  }
  /** Whatever state it is in. */
  async remove(): Promise<void> {
    if (isMounted(this.mnt)) {
      const { status } = await startDfs(["umount", this.mnt]);
      if (status !== 0) await shell(`umount -i -l ${this.mnt}`, { seconds: 20, cwd: "/" });
    }
    rmdirSync(this.mnt);
  }
}

export function isMounted(path: string): boolean {
  return readFileSync("/proc/self/mounts", "latin1").includes(` ${path} `);
}

/**
 * Whether it is in a system call that waits for the driver: for an answer, for a page, or for a directory's lock, which
 * another one holds that waits for an answer (a name has to be looked up when the kernel's caches were let go).
 */
export function waitsForDriver(pid: number): boolean {
  return /request_wait|folio|walk_component|filename_create/.test(readFileSync(`/proc/${String(pid)}/wchan`, "latin1"));
}

/** Alive, and not a zombie that nobody has waited for. */
export function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${String(pid)}/status`, "latin1"));
  } catch {
    return false;
  }
}

/** Requests of the kernel so far, by name, from the log of a driver that runs with --debug. */
export function requestsIn(logFile: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const line of readFileSync(logFile, "utf8").split("\n")) {
    if (!line.includes('"unique"') || line.includes(" answered")) continue;
    const { msg } = JSON.parse(line) as { msg: string };
    counts.set(msg, (counts.get(msg) ?? 0) + 1);
  }
  return counts;
}

/** What came on top: names of requests with how often, for messages. FORGETs may come at any time. */
export function newRequests(before: Map<string, number>, after: Map<string, number>): Record<string, number> {
  const more: Record<string, number> = {};
  for (const [name, count] of after) {
    const added = count - (before.get(name) ?? 0);
    if (added > 0 && name !== "forget" && name !== "batchForget") more[name] = added;
  }
  return more;
}
