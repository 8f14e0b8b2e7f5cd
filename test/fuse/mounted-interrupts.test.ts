import test from "ava";
import { FsError } from "../../src/base/errno.ts";
import type { Ino } from "../../src/base/ids.ts";
import type { Name } from "../../src/base/name.ts";
import type { RequestContext } from "../../src/fuse/operations.ts";
import { MemoryFilesystem } from "./memory-filesystem.ts";
import { cannotMount, hasPython, python, run, start, until, withMount } from "./mounted.ts";

const mounted = cannotMount === undefined ? test.serial : test.skip;
const withPython = cannotMount === undefined && hasPython ? test.serial : test.skip;

/** Asking for this name waits until it is let go (there is none) or given up. */
class StuckName extends MemoryFilesystem {
  readonly waiting = new Set<() => void>();
  givenUp = 0;

  override lookup(request: RequestContext, parent: Ino, name: Name): ReturnType<MemoryFilesystem["lookup"]> {
    if (name !== "stuck") return super.lookup(request, parent, name);
    return new Promise((resolve, reject) => {
      const go = (): void => {
        this.waiting.delete(go);
        resolve({ absent: true, entryValidMillis: 0 });
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

mounted("kill -9 of a process that waits in a request frees it, with the request given up", async (t) => {
  const filesystem = new StuckName();
  await withMount(filesystem, async ({ path }) => {
    const user = start(["stat", "stuck"], path);
    await until("the lookup", () => filesystem.waiting.size > 0);
    user.process.kill("SIGKILL");
    t.is((await user.outcome).signal, "SIGKILL");
    t.is(filesystem.givenUp, 1);
  });
});

mounted("Ctrl-Z and continuing do not end a request with EINTR", async (t) => {
  const filesystem = new StuckName();
  await withMount(filesystem, async ({ path, fuse }) => {
    const user = start(["stat", "stuck"], path);
    await until("the lookup", () => filesystem.waiting.size > 0);
    user.process.kill("SIGTSTP");
    await until("INTERRUPT", () => fuse.statistics.requests["interrupt"] === 1);
    user.process.kill("SIGCONT");
    for (const go of filesystem.waiting) go();
    t.regex((await user.outcome).err, /No such file/);
    t.is(filesystem.givenUp, 0);
  });
});

mounted(
  "a kill that follows another signal gives the request up, though the kernel sends no second INTERRUPT",
  async (t) => {
    const filesystem = new StuckName();
    await withMount(filesystem, async ({ path, fuse }) => {
      const user = start(["stat", "stuck"], path);
      await until("the lookup", () => filesystem.waiting.size > 0);
      user.process.kill("SIGTSTP");
      await until("INTERRUPT", () => fuse.statistics.requests["interrupt"] === 1);
      user.process.kill("SIGKILL");
      t.is((await user.outcome).signal, "SIGKILL");
      t.is(filesystem.givenUp, 1);
      t.is(fuse.statistics.requests["interrupt"], 1);
    });
  },
);

mounted("an abort (umount -f) gives up what waits, and the mount ends", async (t) => {
  const filesystem = new StuckName();
  await withMount(filesystem, async ({ path, fuse }) => {
    const user = start(["stat", "stuck"], path);
    await until("the lookup", () => filesystem.waiting.size > 0);
    await run(["umount", "-i", "-c", "-f", "-l", path]);
    t.not((await user.outcome).status, 0);
    await fuse.ended;
    t.true(filesystem.stopped);
    t.is(filesystem.givenUp, 1);
    t.is(fuse.statistics.waiting, 0);
  });
});
