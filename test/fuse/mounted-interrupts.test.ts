import test from "ava";
import { FsError } from "../../src/base/errno.ts";
import type { MaybePromise, ReadResult, RequestContext } from "../../src/fuse/operations.ts";
import { MemoryFilesystem } from "./memory-filesystem.ts";
import { cannotMount, hasPython, python, shell, start, until, withMount } from "./mounted.ts";

const mounted = cannotMount === undefined ? test.serial : test.skip;
const withPython = cannotMount === undefined && hasPython ? test.serial : test.skip;

/** Reads wait until they are let go or given up. */
class StuckReads extends MemoryFilesystem {
  readonly waiting = new Set<() => void>();
  givenUp = 0;

  override read(...args: Parameters<MemoryFilesystem["read"]>): MaybePromise<ReadResult> {
    const request: RequestContext = args[0];
    return new Promise((resolve, reject) => {
      const go = (): void => {
        this.waiting.delete(go);
        resolve(super.read(...args));
      };
      this.waiting.add(go);
      request.signal.addEventListener("abort", () => {
        this.waiting.delete(go);
        this.givenUp++;
        reject(new FsError("EINTR", "given up"));
      });
    });
  }
}

withPython("a wait for a lock ends with EINTR at a signal, and leaves no lock behind", async (t) => {
  const filesystem = new MemoryFilesystem();
  await withMount(filesystem, async ({ path, fuse }) => {
    const holder = start(
      [
        "python3",
        "-c",
        "import fcntl, time; f = open('a', 'w'); fcntl.lockf(f, 2); print('held', flush=True); time.sleep(60)",
      ],
      path,
    );
    await holder.said("held");
    const script = `
import fcntl, signal, os
class Woken(Exception): pass
def wake(*_): raise Woken()
signal.signal(signal.SIGINT, wake); f = open('a', 'r+'); print('ready', flush=True)
try: fcntl.lockf(f, fcntl.LOCK_EX); print('locked')
except Woken: print('woken')
`;
    const waiter = start(["python3", "-c", script], path);
    await waiter.said("ready");
    await until("the waiting request", () => fuse.statistics.waiting === 1);
    waiter.process.kill("SIGINT");
    t.is((await waiter.outcome).out, "ready\nwoken\n");
    holder.process.kill("SIGKILL");
    await holder.outcome;
    await python("import fcntl; fcntl.lockf(open('a', 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)", path);
    t.is(fuse.statistics.waiting, 0);
  });
});

mounted("kill -9 of a process that waits in a read frees it, with the request given up", async (t) => {
  const filesystem = new StuckReads();
  await withMount(filesystem, async ({ path }) => {
    await shell("echo content > a", path);
    await shell("echo 1 > /proc/sys/vm/drop_caches", path);
    const reader = start(["cat", "a"], path);
    await until("the read", () => filesystem.waiting.size > 0);
    reader.process.kill("SIGKILL");
    t.is((await reader.outcome).signal, "SIGKILL");
  });
  t.true(filesystem.givenUp > 0);
});

mounted("Ctrl-Z and continuing do not end a read with EINTR; a kill that follows does end it", async (t) => {
  const filesystem = new StuckReads();
  await withMount(filesystem, async ({ path }) => {
    await shell("echo content > a; echo more > b", path);
    await shell("echo 1 > /proc/sys/vm/drop_caches", path);
    const reader = start(["cat", "a"], path);
    await until("the read", () => filesystem.waiting.size > 0);
    reader.process.kill("SIGTSTP");
    reader.process.kill("SIGCONT");
    await until("INTERRUPT", () => filesystem.givenUp === 0);
    for (const go of filesystem.waiting) go();
    const letGo = setInterval(() => {
      for (const go of filesystem.waiting) go();
    }, 5);
    t.is((await reader.outcome).out, "content\n");
    clearInterval(letGo);
    t.is(filesystem.givenUp, 0);

    const second = start(["cat", "b"], path);
    await until("the read", () => filesystem.waiting.size > 0);
    second.process.kill("SIGTSTP");
    await new Promise((resolve) => setTimeout(resolve, 50));
    t.is(filesystem.givenUp, 0);
    second.process.kill("SIGKILL");
    t.is((await second.outcome).signal, "SIGKILL");
    t.true(filesystem.givenUp > 0, "only one INTERRUPT is sent: the process is looked at again");
  });
});

mounted("an abort (umount -f) gives up what waits, and the mount ends", async (t) => {
  const filesystem = new StuckReads();
  await withMount(filesystem, async ({ path, fuse }) => {
    await shell("echo content > a", path);
    await shell("echo 1 > /proc/sys/vm/drop_caches", path);
    const reader = start(["cat", "a"], path);
    await until("the read", () => filesystem.waiting.size > 0);
    await start(["umount", "-i", "-f", "-l", path]).outcome;
    t.not((await reader.outcome).status, 0);
    await fuse.ended;
    t.true(filesystem.stopped);
    t.is(fuse.statistics.waiting, 0);
  });
});
