import test from "ava";
import { type Ino, rootIno, toIno } from "../../src/base/ids.ts";
import { type Name, nameFromText } from "../../src/base/name.ts";
import type { AbsentEntry, Entry, MaybePromise, Notifier, RequestContext } from "../../src/fuse/operations.ts";
import { MemoryFilesystem } from "./memory-filesystem.ts";
import { cannotMount, shell, start, until, withMount } from "./mounted.ts";

const mounted = cannotMount === undefined ? test.serial : test.skip;
type MaybeEntry = MaybePromise<Entry | AbsentEntry>;

/** A lookup of this name waits until it is let go; it holds the directory's lock in the kernel meanwhile. */
class StuckName extends MemoryFilesystem {
  go: (() => void) | undefined;

  override lookup(request: RequestContext, parent: Ino, name: Name): MaybeEntry {
    if (name !== "stuck") return super.lookup(request, parent, name);
    return new Promise((resolve) => {
      this.go = () => {
        resolve({ absent: true, entryValidMillis: 0 });
      };
    });
  }

  override unlink(request: RequestContext, parent: Ino, name: Name): MaybePromise<void> {
    if (name !== "slow") return super.unlink(request, parent, name);
    return new Promise((resolve) => {
      this.go = () => {
        resolve(super.unlink(request, parent, name));
      };
    });
  }
}

function notifierOf(filesystem: MemoryFilesystem): Notifier {
  if (filesystem.notifier === undefined) throw new Error("the filesystem has not started");
  return filesystem.notifier;
}

function inoOf(filesystem: MemoryFilesystem, name: string): Ino {
  const found = filesystem.inode(rootIno).children?.get(nameFromText(name));
  if (found === undefined) throw new Error(`no ${name}`);
  return found.inode.ino;
}

mounted("notifications never block the serving thread", async (t) => {
  const filesystem = new StuckName();
  await withMount(filesystem, async ({ path }) => {
    await shell("mkdir d; echo x > d/slow; echo y > d/other; echo z > elsewhere", path);
    const directory = inoOf(filesystem, "d");
    const remover = start(["rm", "d/slow"], path);
    await until("the unlink", () => filesystem.go !== undefined);
    // more of them than there are threads: each waits for the directory's lock, which the unlink holds
    let done = 0;
    const waiting = Array.from({ length: 12 }, () =>
      notifierOf(filesystem)
        .invalidateEntry(directory, nameFromText("other"))
        .then(() => done++),
    );
    await notifierOf(filesystem).invalidateAllEntries();
    await notifierOf(filesystem).invalidateAttributes(directory);
    t.is(await shell("cat elsewhere; echo new > made; cat made", path), "z\nnew", "requests are served meanwhile");
    t.is(done, 0, "the kernel still holds the directory's lock");
    filesystem.go?.();
    await Promise.all(waiting);
    t.is(done, 12);
    t.is((await remover.outcome).status, 0);
  });
});

mounted("an invalidated entry is looked up again, and so is every entry after the epoch", async (t) => {
  const filesystem = new MemoryFilesystem();
  await withMount(filesystem, async ({ path, fuse }) => {
    const lookups = async (): Promise<number> => {
      const before = fuse.statistics.requests["lookup"] ?? 0;
      await shell("stat a > /dev/null", path);
      return (fuse.statistics.requests["lookup"] ?? 0) - before;
    };
    await shell("echo 1 > a; stat a", path);
    t.is(await lookups(), 0, "cached");
    await notifierOf(filesystem).invalidateEntry(rootIno, nameFromText("a"));
    t.is(await lookups(), 1);
    t.is(await lookups(), 0);
    t.true(notifierOf(filesystem).canInvalidateAllEntries);
    await notifierOf(filesystem).invalidateAllEntries();
    t.is(await lookups(), 1);
    t.is(await lookups(), 0);
  });
});

mounted("invalidated attributes are asked again, invalidated data is read again", async (t) => {
  const filesystem = new MemoryFilesystem();
  await withMount(filesystem, async ({ path, fuse }) => {
    await shell("printf one > a; cat a; stat a", path);
    const inode = filesystem.inode(inoOf(filesystem, "a"));
    inode.content.write(0, Buffer.from("two"));
    inode.mode = 0o100600;
    t.is(await shell("cat a; stat -c %a a", path), "one644", "cached");
    await notifierOf(filesystem).invalidateAttributes(inode.ino);
    t.is(await shell("stat -c %a a", path), "600");
    t.is(await shell("cat a", path), "one");
    await notifierOf(filesystem).invalidateData(inode.ino, 0, 0);
    t.is(await shell("cat a", path), "two");
    t.true((fuse.statistics.requests["getattr"] ?? 0) > 0);
  });
});

mounted("what the kernel does not know counts as invalidated", async (t) => {
  const filesystem = new MemoryFilesystem();
  let notifier: Notifier | undefined;
  await withMount(filesystem, async () => {
    notifier = notifierOf(filesystem);
    await notifier.invalidateAttributes(toIno(4711));
    await notifier.invalidateData(toIno(4711), 0, 4096);
    await notifier.invalidateEntry(rootIno, nameFromText("nobody-asked"));
    await notifier.invalidateEntry(toIno(4711), nameFromText("x"));
  });
  await notifier?.invalidateAttributes(rootIno);
  await notifier?.invalidateEntry(rootIno, nameFromText("after the end"));
  t.pass();
});

mounted("ten thousand notifications at once are all taken", async (t) => {
  const filesystem = new MemoryFilesystem();
  await withMount(filesystem, async ({ path }) => {
    await shell("echo x > a", path);
    const ino = inoOf(filesystem, "a");
    await Promise.all(Array.from({ length: 10_000 }, () => notifierOf(filesystem).invalidateAttributes(ino)));
    t.is(await shell("cat a", path), "x");
  });
});
