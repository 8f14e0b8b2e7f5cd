/** Storing an access time, with other changes of the inode meanwhile. */
import test from "ava";
import type { Attributes, Nanos } from "../../src/base/attributes.ts";
import { toIno } from "../../src/base/ids.ts";
import { silentLog } from "../../src/base/log.ts";
import { createAccessTimes } from "../../src/vfs/access-times.ts";
import { createBackground } from "../../src/vfs/background.ts";
import { newInode, type Inode } from "../../src/vfs/inode.ts";
import { visibleAttributes } from "../../src/vfs/visible-attributes.ts";
import { ManualClock } from "./mount.ts";

const readAt = 100n;
const attributes: Attributes = {
  ...{ ino: toIno(5), mode: 0o100644, nlink: 1, uid: 0, gid: 0, rdev: 0, size: 1, blocks: 8, hasXattrs: false },
  ...{ atime: 10n, mtime: 20n, ctime: 20n, btime: 5n },
};

/** Read at `readAt`, `meanwhile` happens before the server's answer; what is shown then. */
async function shownAfter(meanwhile: (inode: Inode, drop: () => void) => void): Promise<Nanos> {
  const inode = newInode(attributes.ino, false);
  inode.attributes = attributes;
  let answer: (reply: object) => void = () => undefined;
  const nameServer = {
    nowNanos: () => readAt,
    change: () =>
      new Promise((resolve) => {
        answer = resolve;
      }),
  };
  const times = createAccessTimes({
    nameServer: nameServer as never,
    inodes: () => ({ get: () => inode, dropIfUnused: () => undefined }) as never,
    ...{ clock: new ManualClock(), background: createBackground(silentLog), log: silentLog, enabled: true },
  });
  times.read(inode);
  const flushed = times.flush();
  meanwhile(inode, () => {
    times.drop(inode);
  });
  answer({ attributes: { ...attributes, atime: readAt } });
  await flushed;
  return visibleAttributes(inode).atime;
}

test("an access time that is stored stays, also behind a change of something else", async (t) => {
  t.is(await shownAfter(() => undefined), readAt);
  const chmod = (inode: Inode): void => {
    inode.attributes = { ...attributes, mode: 0o100600, ctime: 150n };
  };
  t.is(await shownAfter(chmod), readAt);
});

test("an atime that was set meanwhile stays", async (t) => {
  const utimes = (inode: Inode, drop: () => void): void => {
    drop();
    inode.attributes = { ...attributes, atime: 7n, ctime: 150n };
  };
  t.is(await shownAfter(utimes), 7n);
});
