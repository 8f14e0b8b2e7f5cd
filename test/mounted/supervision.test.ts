/** The driver of a mount dies, stands still, loses its supervisor: what programs that use the mount see. */
import test from "ava";
import { fileType } from "../../src/base/attributes.ts";
import { setTimeout as sleep } from "node:timers/promises";
import { limits } from "../../src/base/limits.ts";
import { O } from "../conformance/libc/constants.ts";
import { driversOf, startCluster, type Cluster } from "../support/cluster.ts";
import { eventually, isMounted, isRunning, SecondMount, startDfs, waitsForDriver, withPeers } from "./acting.ts";

let cluster: Cluster;
const path = (name: string): string => `${cluster.mnt}/${name}`;
const logged = (sentence: string): number => cluster.log("client").split(sentence).length - 1;

test.before(async () => {
  cluster = await startCluster({ nodes: 2 });
});
test.after.always(() => {
  cluster.down();
});
test.beforeEach(async () => {
  if (!isMounted(cluster.mnt)) cluster.up();
  await cluster.sh(
    "rm -rf d; mkdir d; for i in $(seq 30); do echo $i > d/$i; done; sync d/1; cat d/* > /dev/null; ls -l d > /dev/null",
  );
});

test.serial("a killed driver is replaced at once: names, files and new ones go on at the same mount", async (t) => {
  const before = cluster.driverPid();
  await withPeers(2, async (a, b) => {
    const read = a.call("open", path("d/1"), O.RDONLY);
    const written = a.call("open", path("d/written"), O.RDWR | O.CREAT);
    a.call("pwrite", written, "synced", 0);
    a.call("fsync", written);
    a.call("pwrite", written, "not synced", 6);
    a.call("chdir", path("d"));
    process.kill(before, "SIGKILL");
    await eventually(
      "another driver serves",
      () => !isRunning(before) && driversOf(cluster.pid("client")).length === 1,
    );
    t.is(b.call("stat", path("d/2")).size, 2n);
    t.is(b.call("read", b.call("open", path("d/2"), O.RDONLY), 10).toString(), "2\n");
    // What was open answers EIO until it is closed...
    t.throws(() => a.call("pread", read, 10, 0), { message: /EIO/ });
    t.throws(() => a.call("pwrite", written, "more", 0), { message: /EIO/ });
    t.throws(() => a.call("fsync", written), { message: /EIO/ });
    t.throws(() => a.call("close", written), { message: /EIO/ });
    // ...and opened again it has what was fsynced.
    const again = a.call("open", path("d/written"), O.RDWR);
    t.is(a.call("pread", again, 6, 0).toString(), "synced");
    a.call("pwrite", again, "again!", 0);
    t.is(b.call("pread", b.call("open", path("d/written"), O.RDONLY), 6, 0).toString(), "again!");
    // A working directory, and what is below it.
    t.is(a.call("stat", "3").size, 2n);
    a.call("mkdir", "made afterwards");
    a.call("unlink", "written");
    a.call("rename", "4", "made afterwards/4");
    t.is(b.call("stat", path("d/made afterwards/4")).size, 2n);
  });
  t.not(cluster.driverPid(), before);
  t.is(cluster.status().sessions.length, 1, "the dead driver's session has ended");
  await cluster.sh("rm -rf d");
});

test.serial("a driver that stands still is replaced in time: programs wait, and see what is true then", async (t) => {
  t.timeout(90_000);
  const before = cluster.driverPid();
  await withPeers(3, async (a, b, c) => {
    const open = a.call("open", path("d/1"), O.RDONLY);
    t.is(a.call("pread", open, 10, 0).toString(), "1\n");
    process.kill(before, "SIGSTOP");
    b.start("open", path("d/2"), O.RDONLY);
    c.start("mkdir", path("d/made while it stood still"));
    await eventually("both wait", () => [b, c].every(({ pid }) => waitsForDriver(pid)), 10);
    await eventually("it is killed", () => !isRunning(before), 25);
    const fd = b.finish() as number;
    t.is(b.call("pread", fd, 10, 0).toString(), "2\n");
    // It had not been read by the driver that stood still, so it is no repetition.
    c.finish();
    t.throws(() => a.call("pread", open, 10, 0), { message: /EIO/ }, "its pages are gone, and so is its handle");
    t.is(a.call("stat", path("d/1")).size, 2n);
  });
  t.regex(cluster.log("client"), /"silentMillis":1[5-9]\d{3},"msg":"the driver stands still/);
});

test.serial("what another mount writes while a driver stands still is never missed here", async (t) => {
  t.timeout(120_000);
  const second = new SecondMount(cluster);
  try {
    await withPeers(2, async (reader, writer) => {
      const open = reader.call("open", path("d/1"), O.RDONLY);
      t.is(reader.call("pread", open, 10, 0).toString(), "1\n");
      process.kill(cluster.driverPid(), "SIGSTOP");
      // As soon as the other one has written, here nothing old may be read any more.
      await second.mount();
      const other = writer.call("open", `${second.mnt}/d/1`, O.RDWR);
      writer.call("pwrite", other, "2\n", 0);
      t.throws(() => reader.call("pread", open, 10, 0), { message: /EIO/ });
      t.is(reader.call("pread", reader.call("open", path("d/1"), O.RDONLY), 10, 0).toString(), "2\n");
    });
  } finally {
    await second.remove();
  }
});

test.serial("a client that stood still as a whole for less than that goes on with everything", async (t) => {
  const before = cluster.driverPid();
  const killed = logged("stands still");
  await withPeers(1, async (a) => {
    const fd = a.call("open", path("d/1"), O.RDWR);
    a.call("pwrite", fd, "kept", 0);
    cluster.kill("client", "SIGSTOP");
    await sleep(5_000);
    cluster.kill("client", "SIGCONT");
    a.call("fsync", fd);
    t.is(a.call("pread", fd, 4, 0).toString(), "kept");
  });
  t.is(cluster.driverPid(), before);
  t.is(logged("stands still"), killed);
});

test.serial(
  "a changing request whose driver died in the middle answers EIO, a looking one is carried out",
  async (t) => {
    await withPeers(3, async (a, b, c) => {
      a.call("symlink", "target", path("link"));
      t.throws(() => a.call("stat", path("in the middle")), { message: /ENOENT/ });
      const opened = c.call("open", path("d/1"), O.RDONLY);
      // Both are read by the driver, and wait for the name server: mknod never runs ahead.
      cluster.kill("name", "SIGSTOP");
      try {
        a.start("mknod", path("in the middle"), fileType.fifo | 0o644);
        b.start("readlink", path("link"));
        await eventually("both wait", () => [a, b].every(({ pid }) => waitsForDriver(pid)), 10);
        // Its FLUSH stands behind them in the queue of the driver, which answers it without the name server.
        c.call("close", opened);
        process.kill(cluster.driverPid(), "SIGKILL");
      } finally {
        cluster.kill("name", "SIGCONT");
      }
      t.throws(() => a.finish(), { message: /EIO/ });
      t.is((b.finish() as Buffer).toString(), "target");
    });
  },
);

test.serial("umount of a mount whose driver stands still ends the client", async (t) => {
  t.timeout(90_000);
  const [supervisor, driver] = [cluster.pid("client"), cluster.driverPid()];
  process.kill(driver, "SIGSTOP");
  await cluster.sh(`umount -i -c ${cluster.mnt}`, { cwd: "/", seconds: 10 });
  t.false(isMounted(cluster.mnt));
  await eventually("both have ended", () => !isRunning(supervisor) && !isRunning(driver), 40);
});

test.serial("dfs umount of a mount whose driver stands still waits for the next one", async (t) => {
  t.timeout(90_000);
  const [supervisor, driver] = [cluster.pid("client"), cluster.driverPid()];
  process.kill(driver, "SIGSTOP");
  const { status, output } = await startDfs(["umount", cluster.mnt]);
  t.is(status, 0, output);
  t.false(isMounted(cluster.mnt) || isRunning(supervisor) || isRunning(driver));
});

test.serial("SIGTERM to the supervisor unmounts and flushes", async (t) => {
  const [supervisor, driver] = [cluster.pid("client"), cluster.driverPid()];
  await cluster.sh("echo unsynced > d/unsynced");
  process.kill(supervisor, "SIGTERM");
  await eventually("both have ended", () => !isRunning(supervisor) && !isRunning(driver), 20);
  t.false(isMounted(cluster.mnt));
  cluster.up();
  t.is(await cluster.sh("cat d/unsynced"), "unsynced\n");
});

test.serial("a driver that is silent once its mount is gone is left to flush", async (t) => {
  t.timeout(120_000);
  const [supervisor, driver] = [cluster.pid("client"), cluster.driverPid()];
  const nodes = ["storage-1", "storage-2"];
  for (const node of nodes) cluster.kill(node, "SIGSTOP");
  try {
    await cluster.sh("head -c 1000000 /dev/zero > d/unsynced");
    await cluster.sh(`umount -i -c ${cluster.mnt}`, { cwd: "/", seconds: 10 });
    await sleep(1_000);
    process.kill(driver, "SIGSTOP");
    await sleep(limits.driverSilentMillis + 3_000);
    t.true(isRunning(driver));
    process.kill(driver, "SIGCONT");
  } finally {
    for (const node of nodes) cluster.kill(node, "SIGCONT");
  }
  await eventually("both have ended", () => !isRunning(supervisor) && !isRunning(driver), 40);
  cluster.up();
  t.is(await cluster.sh("head -c 1000000 /dev/zero | cmp - d/unsynced && echo same"), "same\n");
});

test.serial("without its supervisor a driver flushes, unmounts and ends", async (t) => {
  const [supervisor, driver] = [cluster.pid("client"), cluster.driverPid()];
  await cluster.sh("echo unsynced > d/orphaned");
  process.kill(supervisor, "SIGKILL");
  await eventually("the driver has ended", () => !isRunning(driver), 20);
  t.false(isMounted(cluster.mnt));
  cluster.up();
  t.is(await cluster.sh("cat d/orphaned"), "unsynced\n");
});

test.serial("a driver that dies again and again is given up: programs get errors, nothing is left", async (t) => {
  t.timeout(90_000);
  // A client that has not lost any driver yet.
  await startDfs(["umount", cluster.mnt]);
  cluster.up();
  const supervisor = cluster.pid("client");
  await withPeers(1, async (a) => {
    const fd = a.call("open", path("d/1"), O.RDONLY);
    let last: number | undefined;
    let deaths = 0;
    await eventually(
      "the supervisor gives up",
      () => {
        if (!isRunning(supervisor)) return true;
        const [driver] = driversOf(supervisor);
        if (driver === undefined || driver === last) return false;
        last = driver;
        deaths++;
        process.kill(driver, "SIGKILL");
        return false;
      },
      60,
    );
    t.is(deaths, 6);
    t.throws(() => a.call("pread", fd, 10, 0), { message: /ENOTCONN|ECONNABORTED|EIO/ });
  });
  t.false(isMounted(cluster.mnt));
  t.regex(cluster.log("client"), /too many drivers of this mount have died/);
});

test.serial("a mount of which everything was killed is dead, and dfs mount replaces it", async (t) => {
  const [supervisor, driver] = [cluster.pid("client"), cluster.driverPid()];
  cluster.kill("client");
  await eventually("both are gone", () => !isRunning(supervisor) && !isRunning(driver));
  t.true(isMounted(cluster.mnt));
  await t.throwsAsync(cluster.sh(`ls ${cluster.mnt}`, { cwd: "/", seconds: 20 }), {
    message: /not connected|connection abort/,
  });
  const { status, output } = await startDfs([
    ...["mount", "--log", `${cluster.dir}/client.log`],
    ...[`127.0.0.1:${String(cluster.port)}`, cluster.mnt],
  ]);
  t.is(status, 0, output);
  t.is(await cluster.sh("cat d/7"), "7\n");
  t.is((await startDfs(["umount", cluster.mnt])).status, 0);
});
