import test from "ava";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, rmdir, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { FsError } from "../../src/base/errno.ts";
import { silentLog } from "../../src/base/log.ts";
import { mountFuse } from "../../src/fuse/driver.ts";
import { MemoryFilesystem } from "./memory-filesystem.ts";
import { cannotMount, type Mounted, run, shell, start, until, withDriver, withMount } from "./mounted.ts";

const mounted = cannotMount === undefined ? test.serial : test.skip;

class SlowToStop extends MemoryFilesystem {
  override async stop(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, 50));
    await super.stop();
  }
}

mounted("a raw umount flushes before exit", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "dfs-fuse-out-"));
  const flushed = join(folder, "flushed");
  await withDriver([`flush=${flushed}`], async ({ path, exited }) => {
    await shell("echo x > a; sync -f a", path);
    t.is((await run(["umount", "-i", path])).status, 0);
    t.is(await exited, 0);
    t.is(await readFile(flushed, "utf8"), "stopped");
  });
  await rm(folder, { recursive: true });
});

mounted("a mount ends only after the filesystem has stopped", async (t) => {
  const filesystem = new SlowToStop();
  await withMount(filesystem, async ({ path, fuse }) => {
    await shell("echo x > a; sync -f a", path);
    await run(["umount", "-i", path]);
    t.false(filesystem.stopped);
    await fuse.ended;
    t.true(filesystem.stopped);
    const { destroy, syncfs } = fuse.statistics.requests;
    t.deepEqual([destroy, syncfs], [undefined, undefined], "the kernel tells neither: hence stop");
  });
});

mounted("what stop rejects with, the end of the mount rejects with", async (t) => {
  const filesystem = new MemoryFilesystem();
  filesystem.stop = () => Promise.reject(new FsError("EIO", "could not flush"));
  await t.throwsAsync(
    withMount(filesystem, () => Promise.resolve()),
    { message: /could not flush/ },
  );
});

mounted("a driver that gets SIGTERM unmounts and exits with 0", async (t) => {
  await withDriver([], async ({ path, process: driver, exited }) => {
    await shell("mkdir d && cp /etc/passwd d", path);
    driver.kill("SIGTERM");
    t.is(await exited, 0);
    t.notRegex(await readFile("/proc/self/mountinfo", "utf8"), new RegExp(path));
  });
});

mounted("a mount that is in use is detached, and serves its open files until they are closed", async (t) => {
  await withDriver([], async ({ path, process: driver, exited }) => {
    const user = start(
      ["sh", "-c", "exec 3>busy; echo open; read go < /dev/stdin || true; sleep 0.3; echo late >&3; cat busy"],
      path,
    );
    await user.said("open");
    driver.kill("SIGTERM");
    const outcome = await user.outcome;
    t.is(outcome.out, "open\nlate\n");
    t.is(await exited, 0);
  });
});

mounted("a driver that is stopped and continued goes on without a deadlock", async (t) => {
  await withDriver([], async ({ path, process: driver }) => {
    await shell("echo before > a", path);
    driver.kill("SIGSTOP");
    const users = Array.from({ length: 8 }, (_, i) =>
      start(["sh", "-c", `echo ${String(i)} > f${String(i)}; cat f${String(i)} a; ls`], path),
    );
    await new Promise((resolve) => setTimeout(resolve, 100));
    t.true(users.every(({ process: user }) => user.exitCode === null));
    driver.kill("SIGCONT");
    for (const [i, user] of users.entries()) {
      const { status, out } = await user.outcome;
      t.is(status, 0);
      t.true(out.startsWith(`${String(i)}\nbefore\n`));
    }
  });
});

mounted("a driver that is killed leaves a mount that says so, and the next one names the way out", async (t) => {
  await withDriver([], async ({ path, process: driver, exited }) => {
    driver.kill("SIGKILL");
    await exited;
    t.regex((await run(["ls", path])).err, /Transport endpoint is not connected/);
    const again = mountFuse({
      mountPoint: path,
      source: "x",
      operations: new MemoryFilesystem(),
      log: silentLog,
      clock: systemClock,
    });
    const error = await t.throwsAsync(again, { instanceOf: FsError });
    t.regex(error.message, /EBUSY.*already the mount point of memory.*Transport endpoint.*umount/);
  });
});

mounted("what cannot be mounted on is refused in a sentence", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "dfs-fuse-"));
  const attempt = async (mountPoint: string): Promise<string> => {
    const parts = { mountPoint, source: "x", operations: new MemoryFilesystem(), log: silentLog, clock: systemClock };
    const error = await t.throwsAsync(mountFuse(parts), { instanceOf: FsError });
    return error.message;
  };
  await writeFile(join(folder, "file"), "");
  t.regex(await attempt(join(folder, "file")), /ENOTDIR.*not a directory/);
  t.regex(await attempt(join(folder, "none")), /ENOENT.*mkdir -p.*does not exist/);
  t.regex(await attempt(join(folder, "none", "below")), /ENOENT.*does not exist/);
  await rm(folder, { recursive: true });
  await withMount(new MemoryFilesystem(), async ({ path }) => {
    t.regex(await attempt(path), /EBUSY.*already the mount point of test \(fuse.dfs\); umount/);
  });
});

mounted("a mount point may be a symbolic link, and shows type and source in the list of mounts", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "dfs-fuse-link-"));
  const target = await mkdtemp(join(tmpdir(), "dfs-fuse-"));
  await symlink(target, join(folder, "link"));
  const fuse = await mountFuse({
    mountPoint: join(folder, "link"),
    source: "127.0.0.1:7400",
    operations: new MemoryFilesystem(),
    log: silentLog,
    clock: systemClock,
    options: { mountOptions: ["nodev"] },
  });
  try {
    const mounts = await readFile("/proc/mounts", "utf8");
    t.regex(mounts, new RegExp(`127.0.0.1:7400 ${target} fuse.dfs rw,nodev,.*allow_other,max_read=1048576`));
    const device =
      /(0:\d+) \/ \S+dfs-fuse-\S+ /.exec(mountLine(await readFile("/proc/self/mountinfo", "utf8"), target))?.[1] ?? "";
    t.is((await readFile(`/sys/class/bdi/${device}/read_ahead_kb`, "utf8")).trim(), "1024");
  } finally {
    await fuse.unmount();
    await fuse.ended;
  }
  await fuse.unmount();
  t.pass("unmounting again is done already");
  await rm(folder, { recursive: true });
  await rmdir(target);
});

mounted("a filesystem that cannot start leaves nothing mounted", async (t) => {
  const path = await mkdtemp(join(tmpdir(), "dfs-fuse-"));
  const operations = new MemoryFilesystem();
  operations.start = () => {
    throw new FsError("ECONNREFUSED", "no name server");
  };
  const parts = { mountPoint: path, source: "x", operations, log: silentLog, clock: systemClock };
  await t.throwsAsync(mountFuse(parts), { message: /no name server/ });
  await until("unmounted", async () => !(await readFile("/proc/mounts", "utf8")).includes(path));
  await rmdir(path);
  t.false(existsSync(path));
});

function mountLine(mountinfo: string, path: string): string {
  return mountinfo.split("\n").find((line) => line.includes(` ${path} `)) ?? "";
}

const inPool = { readsInPool: true };

mounted(
  "without reads on the event loop: a pool that would be full of readers says how large it must be",
  async (t) => {
    await withMount(
      new MemoryFilesystem(),
      async () => {
        await withMount(
          new MemoryFilesystem(),
          async () => {
            const error = await t.throwsAsync(
              withMount(new MemoryFilesystem(), () => Promise.resolve(), inPool),
              { instanceOf: FsError },
            );
            t.regex(error.message, /EAGAIN.*UV_THREADPOOL_SIZE to at least 6/);
          },
          inPool,
        );
      },
      inPool,
    );
  },
);

for (const options of [{}, inPool])
  mounted(`a second mount of one process works beside the first ${JSON.stringify(options)}`, async (t) => {
    const useBoth = async (first: Mounted): Promise<void> => {
      await shell("echo content > a", first.path);
      await withMount(
        new MemoryFilesystem(),
        async (second) => {
          t.is(await shell(`cp ${first.path}/a b; cat b`, second.path), "content");
        },
        options,
      );
    };
    await withMount(new MemoryFilesystem(), useBoth, options);
  });
