/**
 * Every process killed at once in the middle of a snapshot of the metadata, and of a recovery from the storage nodes' copies:
 * nothing that was synced is missing, and what was begun is done again.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";
import { driversOf, startCluster } from "../support/cluster.ts";
import { isAlive } from "../support/driver-process.ts";
import { addressOf, compare, complaints, fill, look, pause, until } from "./repair/acting.ts";

const MB = 1_000_000;
const nodes = 3;
const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const writer = fileURLToPath(new URL("metadata-writer.py", import.meta.url));

function storageNames(): string[] {
  return Array.from({ length: nodes }, (_, i) => `storage-${String(i + 1)}`);
}

test.serial("in the middle of a snapshot", async (t) => {
  t.timeout(600_000);
  const c = await startCluster({ nodes });
  const outside = mkdtempSync("/dev/shm/dfs-snapshot-");
  const progress = join(outside, "progress");
  try {
    await fill(c, "files", 4, MB);
    const folder = join(c.dir, "name/snapshot");
    const partial = join(folder, "partial");
    t.deepEqual(readdirSync(folder), []);
    const name = c.pid("name");
    const writing = c.sh(`mkdir values; python3 "${writer}" write values "${progress}"`, { seconds: 400 });
    // It fails when all is killed, where there is nobody to ask.
    const ended = writing.catch(() => undefined);
    await Promise.race([
      untilSo("a snapshot is begun", () => existsSync(partial), 400),
      writing.then(() => Promise.reject(new Error("everything was written, and no snapshot was begun"))),
    ]);
    process.kill(name, "SIGKILL");
    process.kill(c.driverPid(), "SIGKILL");
    for (const node of storageNames()) c.kill(node);
    t.true(existsSync(partial), "it was in the middle");
    t.deepEqual(readdirSync(folder), ["partial"]);
    c.up(nodes);
    await ended;
    t.log(await c.sh(`python3 "${writer}" check values "${progress}"`));
    await compare(c, nodes, "files");
    t.is(complaints(c), undefined);
    await c.sh("echo once more > more; sync more .");
    await until(c, "it is taken after all", () => readdirSync(folder).some((file) => file.endsWith(".snapshot")));
    t.log(await c.sh(`python3 "${writer}" check values "${progress}"`));
  } finally {
    c.down();
    rmSync(outside, { recursive: true });
  }
});

test.serial("in the middle of a recovery", async (t) => {
  t.timeout(300_000);
  const c = await startCluster({ nodes });
  let servers: ChildProcess[] = [];
  const folder = join(c.dir, "name");
  try {
    await fill(c, "files", 4, MB);
    const before = await until(
      c,
      "there is a complete copy",
      ({ copies }) => copies?.members.some(({ complete }) => complete) === true,
    );
    const addresses = before.nodes.map(({ address }) => address).join();
    // As they run now.
    const commands = storageNames().map((node) => argumentsOf(c.pid(node)));
    const start = (args: readonly string[]): ChildProcess => {
      const child = spawn(process.execPath, args, { stdio: "ignore", cwd: "/" });
      servers.push(child);
      return child;
    };
    const startAll = async (): Promise<ChildProcess> => {
      for (const args of commands) start(args);
      for (const { address } of before.nodes) await untilSo(`a storage node is at ${address}`, () => listens(address));
      const isWhole = existsSync(join(folder, "server")) && !existsSync(join(folder, "recovering"));
      const how = isWhole ? [] : ["--recover", "--nodes", addresses];
      return start([main, "name-server", "--data", folder, "--listen", addressOf(c), ...how]);
    };
    const killServers = async (): Promise<void> => {
      for (const server of servers) server.kill("SIGKILL");
      await Promise.all(servers.map((server) => endOf(server)));
      servers = [];
    };

    const pids = ["name", ...storageNames()].map((name) => c.pid(name));
    for (const pid of pids) process.kill(pid, "SIGKILL");
    await untilSo("all have ended", () => !pids.some((pid) => isAlive(pid)));
    rmSync(folder, { recursive: true });
    // While it asks, while it fetches, when it has everything and waits until the one before cannot serve any more.
    for (const part of ["recovering", "journal", "epoch", "taken-over"]) {
      const server = await startAll();
      await untilSo(`${part} is there`, () => existsSync(join(folder, part)) || isOver(server));
      t.is(server.exitCode, null, `it was in the middle: ${part}`);
      for (const driver of driversOf(c.pid("client"))) process.kill(driver, "SIGKILL");
      await killServers();
      t.log(part, readdirSync(folder).join(" "));
    }
    const server = await startAll();
    await untilSo("it serves", async () => {
      const status = await look(c).catch(() => undefined);
      return status?.copies?.serving === true || isOver(server);
    });
    const after = await look(c);
    t.is(after.cluster, before.cluster);
    t.true(after.epoch > before.epoch);
    // As usual from here on.
    await killServers();
    c.up(nodes);
    await compare(c, nodes, "files");
    t.is(complaints(c), undefined);
  } finally {
    for (const server of servers) server.kill("SIGKILL");
    c.down();
  }
});

/** Of a running `node ...`, without its own name. */
function argumentsOf(pid: number): string[] {
  return readFileSync(`/proc/${String(pid)}/cmdline`, "utf8")
    .split("\0")
    .slice(1, -1);
}

function isOver(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

async function endOf(child: ChildProcess): Promise<void> {
  if (!isOver(child)) await once(child, "exit");
}

async function untilSo(what: string, isSo: () => boolean | Promise<boolean>, seconds = 90): Promise<void> {
  for (const end = performance.now() + seconds * 1000; !(await isSo());) {
    if (performance.now() > end) throw new Error(`waited too long: ${what}`);
    await pause(1);
  }
}

/** Whether something takes connections there. */
async function listens(address: string): Promise<boolean> {
  const [host, port] = address.split(":") as [string, string];
  const socket = connect(Number(port), host);
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
