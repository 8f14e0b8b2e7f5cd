/**
 * The cluster of docker/compose.yaml, driven as a person would: through the Makefile's docker-* targets. It has a project
 * name, an image name and a secret of its own, so that it may share an engine with others.
 */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { StatusReply } from "../../src/protocol/status.ts";
import { startEngine, type DockerEngine } from "../support/docker-engine.ts";

const project = fileURLToPath(new URL("../..", import.meta.url));

export interface ComposeCluster {
  /** Resolves with its output; rejects with it when the status is not 0. `input` goes to its standard input. */
  make(target: string, options?: { variables?: readonly string[]; input?: string; seconds?: number }): Promise<string>;
  /** A script in the client's container, in the mount. */
  inMount(script: string, seconds?: number): Promise<string>;
  /** `docker ...args`. */
  docker(...args: string[]): { status: number | null; stdout: string; stderr: string };
  /** The container of a service. */
  container(service: string): string;
  status(): StatusReply;
  readonly image: string;
  remove(): Promise<void>;
}

export async function prepareCompose(): Promise<ComposeCluster> {
  const engine = await startEngine();
  const name = `dfstest${String(process.pid)}`;
  const secrets = mkdtempSync("/tmp/dfs-docker-secret-");
  const env = { ...process.env, ...(engine.host === undefined ? {} : { DOCKER_HOST: engine.host }) };
  const settings = [`PROJECT=${name}`, `IMAGE=${name}`, `BASE=${engine.base}`, `SECRET=${join(secrets, "cluster")}`];
  const cluster: ComposeCluster = {
    image: name,
    make: (target, { variables = [], input = "", seconds = 120 } = {}) =>
      run(["--no-print-directory", target, ...settings, ...variables], { env, input, seconds }),
    inMount: (script, seconds = 60) => cluster.make("docker-shell", { input: `set -e\n${script}\n`, seconds }),
    docker: (...args) => spawnSync("docker", args, { encoding: "utf8", env, timeout: 60_000 }),
    container(service) {
      const labels = [`com.docker.compose.project=${name}`, `com.docker.compose.service=${service}`];
      const filters = labels.flatMap((label) => ["--filter", `label=${label}`]);
      const id = cluster.docker("ps", "--all", "--quiet", ...filters).stdout.trim();
      if (id === "") throw new Error(`there is no container of ${service}`);
      return id;
    },
    status() {
      const secret = ["--secret-file", "/run/secrets/cluster"];
      const command = ["exec", cluster.container("client"), "dfs", "status", "name:7400", "--json", ...secret];
      return JSON.parse(cluster.docker(...command).stdout) as StatusReply;
    },
    remove: () => removed(cluster, engine, secrets),
  };
  return cluster;
}

async function removed(cluster: ComposeCluster, engine: DockerEngine, secrets: string): Promise<void> {
  try {
    // In an engine that others use, too, its containers, volumes and image have to be found one by one.
    if (engine.host === undefined) {
      await cluster.make("docker-down");
      const volumes = cluster.docker("volume", "ls", "--quiet", "--filter", `name=${cluster.image}_`).stdout;
      cluster.docker("volume", "rm", ...volumes.split("\n").filter(Boolean));
      cluster.docker("image", "rm", cluster.image);
    }
  } finally {
    await engine.remove();
    rmSync(secrets, { recursive: true, force: true });
  }
}

function run(
  args: readonly string[],
  options: { env: NodeJS.ProcessEnv; input: string; seconds: number },
): Promise<string> {
  return new Promise((resolve, reject) => {
    // Not as a part of the make that may have started the tests.
    const env = { ...options.env, MAKEFLAGS: undefined, MAKELEVEL: undefined };
    const child = spawn("make", args, { cwd: project, env, detached: true, stdio: "pipe" });
    const out: Buffer[] = [];
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (data: Buffer) => out.push(data));
    // A command that does not read what it is given is its own matter.
    child.stdin.on("error", () => undefined);
    child.stdin.end(options.input);
    let late = "";
    const timer = setTimeout(() => {
      late = `not done after ${String(options.seconds)} s: `;
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    }, options.seconds * 1000);
    child.on("close", (status) => {
      clearTimeout(timer);
      const text = Buffer.concat(out).toString();
      if (status === 0) resolve(text);
      else reject(new Error(`${late}make ${args[1] ?? ""} ended with ${String(status)}: ${text.slice(-3_000)}`));
    });
  });
}
