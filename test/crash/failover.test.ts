/**
 * The name server is lost, and another one is recovered elsewhere, while a program writes and syncs in a mount that was
 * given nothing but the address of the first one: it goes on without an error, and nothing that was synced is missing.
 *
 * FAILOVER_KILLS (10): how often the recovery is killed; FAILOVER_SEED: of the moments.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";
import { seededRandom } from "../../src/base/random.ts";
import type { StatusReply } from "../../src/protocol/status.ts";
import { startCluster, type Cluster } from "../support/cluster.ts";

const dfs = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const kills = Number(process.env["FAILOVER_KILLS"] ?? 10);
const seed = Number(process.env["FAILOVER_SEED"] ?? Date.now() % 100_000);

/** Appends and creates, syncs both, and then says so outside of the mount. `wx`: a creation that is done twice fails. */
const writer = `
  const { appendFileSync, closeSync, existsSync, fsyncSync, openSync, writeFileSync, writeSync } = require("node:fs");
  const [folder] = process.argv.slice(1);
  const log = openSync("log", "ax");
  for (let i = 0; !existsSync(folder + "/stop"); i++) {
    writeSync(log, String(i).padEnd(4999, "x") + "\\n");
    fsyncSync(log);
    const file = openSync("f" + i, "wx");
    writeSync(file, "content " + i);
    fsyncSync(file);
    closeSync(file);
    writeFileSync(folder + "/synced", String(i + 1));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
  }`;
const reader = `
  const { readFileSync } = require("node:fs");
  const synced = Number(readFileSync(process.argv[1] + "/synced", "utf8"));
  const lines = readFileSync("log", "latin1").split("\\n");
  for (let i = 0; i < synced; i++) {
    if (lines[i] !== String(i).padEnd(4999, "x")) throw new Error("line " + i + ": " + lines[i]);
    if (readFileSync("f" + i, "utf8") !== "content " + i) throw new Error("file " + i);
  }
  console.log(synced);`;

test.serial("a mount goes over to a name server that was recovered elsewhere, and never back", async (t) => {
  t.timeout(300_000);
  t.log(`seed ${String(seed)}`);
  const random = seededRandom(seed);
  const c = await startCluster();
  const outside = mkdtempSync("/dev/shm/dfs-failover-");
  const servers: ChildProcess[] = [];
  let writing: Promise<string> | undefined;
  try {
    const nodes = c.status().nodes.map(({ address }) => address);
    const session = sessionOf(c.status());
    const recover = (folder: string, port: number): ChildProcess => {
      const where = ["--data", folder, "--listen", `127.0.0.1:${String(port)}`];
      const args = [dfs, "name-server", ...where, "--recover", "--nodes", nodes.join(",")];
      const child = spawn(process.execPath, args, { stdio: "ignore" });
      servers.push(child);
      return child;
    };
    writing = c.sh(`exec node -e '${writer}' ${outside}`, { seconds: 280 });
    // Asked for below.
    writing.catch(() => undefined);
    await until("something is written", () => synced(outside) > 20);

    c.kill("name");
    renameSync(join(c.dir, "name"), join(c.dir, "lost"));
    const second = join(c.dir, "second");
    mkdirSync(second);
    const secondPort = c.port + 50;
    // Killed at any moment, from its first line until it waits to serve, it is simply run again; once all is there, as usual.
    const again = (): ChildProcess => {
      const isWhole = existsSync(join(second, "server")) && !existsSync(join(second, "recovering"));
      return isWhole ? startAt(second, secondPort, servers) : recover(second, secondPort);
    };
    for (let i = 0; i < kills; i++) {
      const child = again();
      await pause(random.below(1_200));
      await endOf(child, "SIGKILL");
    }
    const running = again();
    await until("the second one serves", () => statusAt(c, secondPort)?.copies?.serving === true);
    const before = synced(outside);
    await until("the program goes on", () => synced(outside) > before + 10);
    // Storage nodes tell commands, too; so does the mount.
    const status = statusAt(c, Number(nodes[0]?.split(":")[1])) as StatusReply;
    t.is(sessionOf(status), session, "the session was resumed");
    t.is(c.dfs("replicas", "get", join(c.mnt, "log")).status, 0);

    // Now one that is only away: it comes back when a third one has taken over.
    const third = join(c.dir, "third");
    mkdirSync(third);
    running.kill("SIGSTOP");
    recover(third, c.port + 51);
    await until("the third one serves", () => statusAt(c, c.port + 51)?.copies?.serving === true);
    running.kill("SIGCONT");
    const later = synced(outside);
    await until("the program goes on again", () => synced(outside) > later + 10);
    // It may have noticed that it was replaced, and has ended; if not, it serves nobody.
    t.not(statusAt(c, secondPort)?.copies?.serving, true);
    writeFileSync(join(outside, "stop"), "");
    await writing;
    const last = statusAt(c, c.port + 51) as StatusReply;
    t.is(sessionOf(last), session);
    t.true(last.epoch > status.epoch);
    t.true(Number(await c.sh(`node -e '${reader}' ${outside}`)) > later);

    // Another driver of the mount finds it as well, and so what the disks have.
    process.kill(c.driverPid(), "SIGKILL");
    t.true(Number(await c.sh(`node -e '${reader}' ${outside}`)) > later);
  } catch (error) {
    t.log(c.log("client").split("\n").slice(-40).join("\n"));
    throw error;
  } finally {
    writeFileSync(join(outside, "stop"), "");
    // Before the name servers, which it needs to be unmounted in order.
    const { status } = c.dfs("umount", c.mnt);
    if (status !== 0) c.kill("client");
    for (const child of servers) child.kill("SIGKILL");
    c.down();
    rmSync(outside, { recursive: true });
  }
});

function startAt(folder: string, port: number, servers: ChildProcess[]): ChildProcess {
  const args = [dfs, "name-server", "--data", folder, "--listen", `127.0.0.1:${String(port)}`];
  const child = spawn(process.execPath, args, { stdio: "ignore" });
  servers.push(child);
  return child;
}

function endOf(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode);
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  child.kill(signal);
  return ended;
}

/** How many rounds of the writer are synced. */
function synced(outside: string): number {
  const path = join(outside, "synced");
  return existsSync(path) ? Number(readFileSync(path, "utf8")) : 0;
}

function sessionOf({ sessions }: StatusReply): string | undefined {
  return sessions.find(({ client }) => client.includes("/mnt"))?.id;
}

function statusAt(c: Cluster, port: number): StatusReply | undefined {
  const { stdout, status } = c.dfs("status", `127.0.0.1:${String(port)}`, "--json");
  return status === 0 ? (JSON.parse(stdout) as StatusReply) : undefined;
}

function pause(millis: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, millis));
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  for (const end = performance.now() + 90_000; !isSo();) {
    if (performance.now() > end) throw new Error(`waited too long: ${what}`);
    await pause(250);
  }
}
