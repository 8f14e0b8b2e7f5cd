/** What can go wrong between the kernel's caches and the driver on one machine (DESIGN section 5), each on a real mount. */
import { dirname } from "node:path";
import { isDeepStrictEqual } from "node:util";
import test from "ava";
import { sleep, systemClock } from "../../src/base/clock.ts";
import { F, O } from "../conformance/libc/constants.ts";
import { startCluster, type Cluster } from "../support/cluster.ts";
import {
  eventually,
  isMounted,
  isRunning,
  newRequests,
  requestsIn,
  SecondMount,
  startDfs,
  waitsForDriver,
  withPeers,
} from "./acting.ts";

let cluster: Cluster;
let second: SecondMount;
const path = (name: string): string => `${cluster.mnt}/${name}`;
/** Runs the rest of a shell line as a user without privileges. */
const asUser = "setpriv --reuid 1001 --regid 1001 --clear-groups";
/** Two of them may stop: the journal goes on with the others. */
const nodes = ["storage-1", "storage-2", "storage-3", "storage-4"];

test.before(async () => {
  cluster = await startCluster({ nodes: nodes.length });
  second = new SecondMount(cluster);
  await cluster.sh(`chmod 755 ${dirname(cluster.dir)}; chmod 777 $MNT`, { cwd: "/" });
});
test.afterEach.always(() => {
  // Whatever a test had stopped.
  for (const name of [...nodes, "name", "client"]) cluster.kill(name, "SIGCONT");
});
test.after.always(async () => {
  await second.remove();
  cluster.down();
});

test.serial("a program reads back what it wrote while the kernel's caches are switched off and on", async (t) => {
  await withPeers(2, async (writer, reader) => {
    const file = writer.call("open", path("own"), O.RDWR | O.CREAT | O.TRUNC);
    const other = reader.call("open", path("own"), O.RDONLY);
    writer.call("ftruncate", file, 64 * 1024);
    let rounds = 0;
    const writeAndRead = (): void => {
      const offset = (rounds * 3_001) % 60_000;
      const bytes = Buffer.from(`round ${String(rounds++)} `.repeat(8));
      reader.start("pread", other, bytes.length, offset);
      t.is(writer.call("pwrite", file, bytes, offset), bytes.length);
      reader.finish();
      t.is(writer.call("pread", file, bytes.length, offset).toString(), bytes.toString());
      t.is(reader.call("pread", other, bytes.length, offset).toString(), bytes.toString());
    };
    for (let i = 0; i < 3; i++) {
      for (const change of [() => second.mount(), () => second.umount()]) {
        const state = { isDone: false };
        const running = change().finally(() => {
          state.isDone = true;
        });
        while (!state.isDone) {
          for (let n = 0; n < 10; n++) writeAndRead();
          await new Promise((resolve) => setImmediate(resolve));
        }
        await running;
      }
    }
    t.true(rounds > 100, `only ${String(rounds)} rounds`);
    t.log(`${String(rounds)} rounds`);
  });
});

test.serial("a program reads back what it wrote while owner, mode and times change under it", async (t) => {
  await withPeers(3, (writer, changer, reader) => {
    const file = writer.call("open", path("changing"), O.RDWR | O.CREAT | O.TRUNC);
    const other = reader.call("open", path("changing"), O.RDONLY);
    for (let i = 0; i < 400; i++) {
      const offset = (i * 701) % 20_000;
      const bytes = Buffer.from(`round ${String(i)} `.repeat(40));
      if (i % 4 === 0) changer.start("chmod", path("changing"), i % 8 === 0 ? 0o4777 : 0o666);
      else if (i % 4 === 1) changer.start("chown", path("changing"), 1000 + (i % 3), 1000);
      else if (i % 4 === 2) changer.start("utimensat", path("changing"), [BigInt(i), BigInt(i)]);
      else changer.start("setxattr", path("changing"), "user.round", String(i));
      reader.start("pread", other, 100, offset);
      writer.call("pwrite", file, bytes, offset);
      t.is(writer.call("pread", file, bytes.length, offset).toString(), bytes.toString());
      changer.finish();
      reader.finish();
      t.is(reader.call("pread", other, bytes.length, offset).toString(), bytes.toString());
    }
  });
});

test.serial("several appenders lose nothing, and every local reader sees each line at once", async (t) => {
  await withPeers(4, (reader, ...appenders) => {
    const file = reader.call("open", path("appended"), O.RDWR | O.CREAT | O.TRUNC);
    const fds = appenders.map((peer) => peer.call("open", path("appended"), O.WRONLY | O.APPEND));
    let expected = 0;
    for (let round = 0; round < 200; round++) {
      const lines = appenders.map(
        (_peer, i) => `appender ${String(i)} round ${String(round)} ${"x".repeat(round % 90)}\n`,
      );
      appenders.forEach((peer, i) => {
        peer.start("write", fds[i] as number, lines[i] as string);
      });
      // What the reader has cached of the last page must not hide what comes now.
      reader.call("pread", file, 8_192, Math.max(0, expected - 100));
      for (const peer of appenders) peer.finish();
      const length = lines.join("").length;
      const added = reader
        .call("pread", file, length + 1, expected)
        .toString()
        .split("\n");
      t.deepEqual(added.sort(), ["", ...lines.map((line) => line.slice(0, -1))].sort(), `round ${String(round)}`);
      expected += length;
      t.is(Number(reader.call("fstat", file).size), expected);
    }
  });
});

for (const [how, change] of [
  ["written", `${asUser} sh -c 'printf x >> tool'`],
  ["truncated", `${asUser} truncate -s +1 tool`],
  [
    "opened with O_TRUNC and written anew",
    `cp tool /tmp/dfs-tool-$$; ${asUser} sh -c "cat /tmp/dfs-tool-$$ > tool"; rm /tmp/dfs-tool-$$`,
  ],
  ["given to another owner", "chown 1001 tool; chown root tool"],
] as const) {
  test.serial(`a setuid program that was ${how} does not run as root any more`, async (t) => {
    await cluster.sh(
      "rm -f tool; cp /usr/bin/id tool; chown root tool; chmod 4777 tool; sync tool; cmp tool /usr/bin/id",
    );
    t.regex(await cluster.sh(`${asUser} ./tool; ${asUser} ./tool`), /euid=0/);
    const after = await cluster.sh(`${change}; ${asUser} ./tool; stat -c %a tool`);
    t.notRegex(after, /euid=0/);
    t.regex(after, /^777$/m);
  });
}

test.serial("O_CREAT of a file that appeared elsewhere meanwhile asks for permission", async (t) => {
  await second.mount();
  await withPeers(1, async (elsewhere) => {
    for (let i = 0; i < 40; i++) {
      const name = `private-${String(i)}`;
      // Here the name is known to be absent.
      await cluster.sh(`test ! -e ${name}`);
      elsewhere.call("close", elsewhere.call("open", `${second.mnt}/${name}`, O.CREAT | O.EXCL | O.WRONLY, 0o600));
      const output = await cluster.sh(`${asUser} sh -c 'echo stolen > ${name}' 2>&1 || echo refused`);
      t.regex(output, /Permission denied\s+refused/);
      t.is(Number(elsewhere.call("stat", `${second.mnt}/${name}`).size), 0);
    }
  });
  await second.umount();
});

test.serial("a raw umount(2) loses nothing that was written", async (t) => {
  const digest = await cluster.sh(
    "mkdir raw; head -c 9000000 /dev/urandom > raw/big; for i in $(seq 200); do echo small $i > raw/s$i; done; cat raw/* | sha256sum",
  );
  const driver = cluster.pid("client");
  await cluster.sh("umount -i $MNT", { cwd: "/" });
  t.false(isMounted(cluster.mnt));
  await eventually("the driver has flushed and ended", () => !isRunning(driver), 60);
  cluster.up();
  t.is(await cluster.sh("cat raw/* | sha256sum"), digest);
});

test.serial("requests are answered while an invalidation waits for a page that is being read", async (t) => {
  await cluster.sh(
    `(head -c 5000000 /dev/urandom; seq -f "the marked line %08.0f" 40000) > cold; sync cold
    mkdir dir; echo inline > dir/small; sync dir/small`,
  );
  const holding = (
    await cluster.sh('grep -rl "the marked line 00000100" storage-*/ | cut -d / -f 1 | sort -u', { cwd: cluster.dir })
  )
    .trim()
    .split("\n");
  t.is(holding.length, 2);
  await startDfs(["umount", cluster.mnt]);
  cluster.up();
  await second.mount();
  await withPeers(3, async (stuck, other, elsewhere) => {
    const cold = stuck.call("open", path("cold"), O.RDONLY);
    other.call("stat", path("cold"));
    const small = other.call("open", path("dir/small"), O.RDONLY);
    for (const name of holding) cluster.kill(name, "SIGSTOP");
    stuck.start("pread", cold, 4_096, 5_000_000);
    await eventually("the reader waits", () => waitsForDriver(stuck.pid), 10);
    // The name server's answer to what this driver was asked later: so it has read, and told the server, what came before.
    other.call("lock", small, F.GETLK, { type: F.RDLCK, start: 0n, length: 0n });
    // Done only when this machine has forgotten the end of the file, the page that is being read too.
    elsewhere.start("truncate", `${second.mnt}/cold`, 4_000_000);
    await eventually("the other machine waits for this one", () => waitsForDriver(elsewhere.pid), 10);
    for (let i = 0; i < 100; i++) {
      t.is(other.call("stat", path("dir/small")).size, 7n);
      other.call("close", other.call("open", path(`dir/new-${String(i)}`), O.CREAT | O.WRONLY));
      t.is(other.call("readlink", "/proc/self/exe").length > 0, true);
    }
    t.true(waitsForDriver(elsewhere.pid), "while a page is locked it was not forgotten");
    for (const name of holding) cluster.kill(name, "SIGCONT");
    // The page may be dropped before the reader has copied it: then it reads what is there after the cut.
    t.true([0, 4_096].includes((stuck.finish() as Buffer).length));
    elsewhere.finish();
    t.is(other.call("stat", path("cold")).size, 4_000_000n);
  });
  await second.umount();
});

test.serial("a driver that is stopped and goes on answers every program that waited", async (t) => {
  await cluster.sh("echo before > waits; mkdir -p many; for i in $(seq 50); do echo $i > many/$i; done");
  await withPeers(3, async (a, b, c) => {
    const fd = a.call("open", path("waits"), O.RDWR);
    cluster.kill("client", "SIGSTOP");
    a.start("pwrite", fd, "after!", 0);
    b.start("mkdir", path("made while stopped"));
    c.start("open", path("many/17"), O.RDONLY);
    await eventually("all three wait", () => [a, b, c].every(({ pid }) => waitsForDriver(pid)), 10);
    cluster.kill("client", "SIGCONT");
    t.is(a.finish(), 6);
    b.finish();
    const opened = c.finish() as number;
    t.is(c.call("read", opened, 10).toString(), "17\n");
    t.is(b.call("pread", b.call("open", path("waits"), O.RDONLY), 10, 0).toString(), "after!\n");
    t.is(c.call("stat", path("made while stopped")).mode & 0o170000, 0o040000);
  });
});

test.serial(
  "a program that is killed while the servers do not answer ends at once, and the mount goes on",
  async (t) => {
    await cluster.sh("head -c 6000000 /dev/urandom > slow; sync slow");
    await startDfs(["umount", cluster.mnt]);
    cluster.up();
    await withPeers(1, async (witness) => {
      await withPeers(3, async (...victims) => {
        const [reading, syncing, naming] = victims as [(typeof victims)[0], (typeof victims)[0], (typeof victims)[0]];
        const read = reading.call("open", path("slow"), O.RDONLY);
        const written = syncing.call("open", path("unsynced"), O.RDWR | O.CREAT);
        syncing.call("pwrite", written, Buffer.alloc(100_000, 7), 0);
        for (const name of [...nodes, "name"]) cluster.kill(name, "SIGSTOP");
        reading.start("pread", read, 4_096, 3_000_000);
        syncing.start("fsync", written);
        naming.start("mkdir", path("never mind"));
        await eventually("all three wait", () => victims.every(({ pid }) => waitsForDriver(pid)), 10);
        for (const victim of victims) victim.kill();
        await eventually("the killed programs are gone", () => victims.every(({ pid }) => !isRunning(pid)), 15);
      });
      for (const name of [...nodes, "name"]) cluster.kill(name, "SIGCONT");
      const fd = witness.call("open", path("slow"), O.RDONLY);
      t.is(witness.call("pread", fd, 4_096, 3_000_000).length, 4_096);
      witness.call("mkdir", path("goes on"));
      t.is(witness.call("stat", path("unsynced")).size, 100_000n);
    });
  },
);

test.serial(
  "a removed file that is open is complete until it is closed, also without the kernel's caches",
  async (t) => {
    await withPeers(2, async (holder, other) => {
      const fd = holder.call("open", path("removed"), O.RDWR | O.CREAT);
      holder.call("pwrite", fd, Buffer.alloc(300_000, 5), 0);
      other.call("unlink", path("removed"));
      await cluster.sh("sync; echo 3 > /proc/sys/vm/drop_caches", { cwd: "/" });
      holder.call("pwrite", fd, "changed", 299_000);
      holder.call("fsync", fd);
      await cluster.sh("echo 3 > /proc/sys/vm/drop_caches", { cwd: "/" });
      const { nlink, size } = holder.call("fstat", fd);
      t.deepEqual({ nlink, size }, { nlink: 0, size: 300_000n });
      const content = holder.call("pread", fd, 300_000, 0);
      t.is(content.toString("latin1", 299_000, 299_007), "changed");
      t.true(content.subarray(0, 299_000).every((byte) => byte === 5));
      t.throws(() => other.call("stat", path("removed")), { message: /ENOENT/ });
    });
  },
);

test.serial("a mapping of a removed and closed file keeps its content, read and stored", async (t) => {
  const program = new URL("map-removed.ts", import.meta.url).pathname;
  const output = await cluster.sh(`${process.execPath} --import=${import.meta.resolve("tsx")} ${program} $MNT/mapped`, {
    cwd: "/",
  });
  t.is(output, "same\n");
});

test.serial(
  "warm names, attributes, content, listings and symlinks cost no request to the driver but open and close",
  async (t) => {
    const log = `${cluster.dir}/warm.log`;
    await startDfs(["umount", cluster.mnt]);
    const { status, output } = await startDfs(["mount", "--debug", "--log", log, second.address, cluster.mnt]);
    t.is(status, 0, output);
    await withPeers(1, async (peer) => {
      peer.call("mkdir", path("warm"));
      peer.call("symlink", "file", path("warm/link"));
      const fd = peer.call("open", path("warm/file"), O.RDWR | O.CREAT);
      peer.call("pwrite", fd, Buffer.alloc(200_000, 3), 0);
      peer.call("fsync", fd);
      const use = (): void => {
        peer.call("stat", path("warm/file"));
        peer.call("stat", path("warm/link"));
        peer.call("readlink", path("warm/link"));
        t.throws(() => peer.call("stat", path("warm/absent")), { message: /ENOENT/ });
        peer.call("access", path("warm/file"), 4);
        peer.call("pread", fd, 200_000, 0);
        peer.call("fstat", fd);
      };
      t.deepEqual(await askedAtLast(log, [], use), []);
      // An open is answered by the driver itself; its content comes from the kernel's pages.
      const open = (): void => {
        const again = peer.call("open", path("warm/file"), O.RDONLY);
        peer.call("read", again, 200_000);
        peer.call("close", again);
      };
      const opening = ["flush", "open", "release"];
      t.deepEqual(await askedAtLast(log, opening, open), opening);
    });
    await startDfs(["umount", cluster.mnt]);
    cluster.up();
  },
);

test.serial("the client's log has no error after all of that", (t) => {
  const errors = cluster
    .log("client")
    .split("\n")
    .filter((line) => line.includes('"level":50'));
  t.deepEqual(errors, []);
});

/** What the kernel asks for when `use` is repeated. It may drop pages by itself: what is expected has to come once in 5 tries. */
async function askedAtLast(log: string, expected: readonly string[], use: () => void): Promise<string[]> {
  for (let attempt = 1; ; attempt++) {
    use();
    // The RELEASE of the last close comes behind it.
    await sleep(systemClock, 100);
    const before = requestsIn(log);
    for (let i = 0; i < 30; i++) use();
    const asked = Object.keys(newRequests(before, requestsIn(log))).sort();
    if (attempt === 5 || isDeepStrictEqual(asked, expected)) return asked;
  }
}
