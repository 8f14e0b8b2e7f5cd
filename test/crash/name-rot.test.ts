/**
 * One bit flips in a file of the name server's folder, or of a node's copy of the journal, while that process is stopped:
 * at the next start everything that was acknowledged is there, made good from a copy where need be. One cluster goes
 * through all of it.
 */
import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import type { StatusReply } from "../../src/protocol/status.ts";
import { startCluster, type Cluster } from "../support/cluster.ts";
import { isAlive } from "../support/driver-process.ts";

let cluster: Cluster | undefined;
let rounds = 0;

test.before(async (t) => {
  t.timeout(180_000);
  cluster = await startCluster();
  await cluster.sh(
    `for i in $(seq 40); do echo "the marked line $i" > small-$i; done; head -c 3000000 /dev/urandom > large
    mkdir d; ln small-1 d/link; md5sum small-* large d/link > sums; sync .`,
  );
});
test.after.always(() => {
  cluster?.down();
});

function rotTest(title: string, act: (t: ExecutionContext, c: Cluster) => Promise<void>): void {
  test.serial(title, async (t) => {
    t.timeout(300_000);
    if (cluster === undefined) throw new Error("there is no cluster");
    try {
      await act(t, cluster);
    } catch (error) {
      t.log(cluster.log("name").slice(-3_000));
      throw error;
    }
  });
}

const mended = "the metadata were mended";
/** Of a journal file: its header takes a slot. */
const slot = 4_096;

rotTest("a record of the journal below what is durable is fetched from a copy", async (t, c) => {
  await killed(c, "name");
  flip(journal(c, "name")[0] ?? "", slot + 100);
  t.regex(await restarted(c), new RegExp(mended));
});

rotTest("the header of a file of the journal, with all processes dead", async (t, c) => {
  for (const name of ["storage-1", "storage-2", "storage-3", "name"]) await killed(c, name);
  flip(journal(c, "name").at(-1) ?? "", 30);
  t.regex(await restarted(c), new RegExp(mended));
});

rotTest("the newest record, of which nothing in the folder says that it was durable", async (t, c) => {
  await c.sh("echo newest > newest; sync newest .");
  await killed(c, "name");
  const last = journal(c, "name").at(-1) ?? "";
  const bytes = readFileSync(last);
  let at = slot;
  for (let end = at; end < bytes.length && bytes.readUInt32LE(end) !== 0;) {
    at = end;
    end += Math.ceil(bytes.readUInt32LE(end + 8) / slot) * slot;
  }
  flip(last, at + 70);
  await restarted(c);
  t.is(await c.sh("cat newest"), "newest\n");
});

rotTest("the file of the journal that waits to be used", async (t, c) => {
  await killed(c, "name");
  const spare = join(c.dir, "name/journal/spare");
  if (existsSync(spare)) flip(spare, slot + 10);
  else t.log("there is none now");
  t.notRegex(await restarted(c), new RegExp(mended));
});

rotTest("the files that tell epoch, identity and copies", async (t, c) => {
  for (const name of ["epoch", "server", "copies.json"]) {
    const { epoch } = c.status();
    const identity = readFileSync(join(c.dir, "name/server"), "latin1");
    await killed(c, "name");
    flip(join(c.dir, "name", name), 9);
    await restarted(c);
    t.true(c.status().epoch > epoch, name);
    t.is(readFileSync(join(c.dir, "name/server"), "latin1"), identity);
  }
});

rotTest("a value in the materialised store", async (t, c) => {
  // Until it is there.
  const store = join(c.dir, "name/lmdb/data.mdb");
  await until("the values are in it", () => existsSync(store) && readFileSync(store).includes("the marked line 17"));
  await killed(c, "name");
  const bytes = readFileSync(store);
  for (let at = bytes.indexOf("the marked line"); at !== -1; at = bytes.indexOf("the marked line", at + 1))
    bytes.writeUInt8(bytes.readUInt8(at + 4) ^ 4, at + 4);
  writeFileSync(store, bytes);
  await restarted(c, { mayDie: true });
  t.pass();
});

rotTest("the journal's copy on a storage node is made anew, and the name server's disk may go", async (t, c) => {
  const member = await memberOf(c);
  await killed(c, member);
  flip(journal(c, member)[0] ?? "", slot + 100);
  c.up();
  t.regex(c.log(member), /this node's copy of the journal is damaged/);
  await until("there is a complete copy", () => c.status().copies?.members.some(({ complete }) => complete) === true);
  await c.sh("echo later > later; sync later .");
  const nodes = c.status().nodes.flatMap(({ address, state }) => (state === "up" ? [address] : []));
  await killed(c, "name");
  rmSync(join(c.dir, "name"), { recursive: true });
  const address = `127.0.0.1:${String(c.port)}`;
  const server = ["name-server", "--data", join(c.dir, "name"), "--listen", address];
  const recovering = spawn(process.execPath, ["dist/cli/main.js", ...server, "--recover", "--nodes", nodes.join()], {
    stdio: "ignore",
  });
  const ended = new Promise((resolve) => recovering.once("exit", resolve));
  try {
    await until("it serves", () => {
      const { stdout, status } = c.dfs("status", address, "--json");
      return status === 0 && (JSON.parse(stdout) as StatusReply).copies?.serving === true;
    });
  } finally {
    recovering.kill("SIGTERM");
    await ended;
  }
  // As `make up` starts it.
  await restarted(c);
  t.is(await c.sh("cat later"), "later\n");
});

/** Starts what was killed; resolves with what the name server logged since, when all content is as it was. */
async function restarted(c: Cluster, { mayDie = false } = {}): Promise<string> {
  const before = c.log("name").length;
  c.up();
  const compare = `md5sum --quiet -c sums; test "$(stat -c %h small-1)" = 2
    echo ${String(++rounds)} > round; sync round .; test "$(cat round)" = ${String(rounds)}`;
  // A client with nothing in its memory.
  const look = async (): Promise<void> => {
    if (mayDie) c.kill("client");
    else if (c.dfs("umount", c.mnt).status !== 0) throw new Error("not unmounted");
    c.up();
    await c.sh(compare, { seconds: 60 });
  };
  if (mayDie) {
    try {
      await look();
    } catch {
      await until("the name server has ended", () => !isAlive(c.pid("name")));
      c.up();
    }
  }
  await look();
  return c.log("name").slice(before);
}

async function killed(c: Cluster, name: string): Promise<void> {
  const pid = c.pid(name);
  c.kill(name);
  await until(`${name} has ended`, () => !isAlive(pid));
}

/** The files of the journal of a process, ascending. */
function journal(c: Cluster, name: string): string[] {
  const folder = join(c.dir, name, "journal");
  const files = readdirSync(folder).filter((file) => file.endsWith(".journal"));
  return files.sort().map((file) => join(folder, file));
}

/** `storage-N` that has the complete copy. */
async function memberOf(c: Cluster): Promise<string> {
  let name: string | undefined;
  await until("there is a complete copy", () => {
    const { copies, nodes } = c.status();
    const member = copies?.members.find(({ complete }) => complete)?.node;
    const port = Number(nodes.find(({ id }) => id === member)?.address.split(":")[1]);
    name = Number.isNaN(port) ? undefined : `storage-${String(port - c.port - 99)}`;
    return name !== undefined;
  });
  return name ?? "";
}

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes.writeUInt8(bytes.readUInt8(at) ^ 4, at);
  writeFileSync(path, bytes);
}

async function until(what: string, holds: () => boolean): Promise<void> {
  for (const end = performance.now() + 60_000; !holds();) {
    if (performance.now() > end) throw new Error(`not within a minute: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
