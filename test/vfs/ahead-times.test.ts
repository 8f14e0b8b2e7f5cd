/** Times that were seen stay, whatever of the writes and changes before is still on its way. */
import test from "ava";
import { fileType, type Attributes } from "../../src/base/attributes.ts";
import { sleep, systemClock } from "../../src/base/clock.ts";
import { rootIno, type Ino } from "../../src/base/ids.ts";
import type { Operations } from "../../src/fuse/operations.ts";
import { startCluster } from "./cluster.ts";
import { createFile, from, name, writing } from "./mount.ts";

const changes: Record<string, (operations: Operations, ino: Ino) => unknown> = {
  chmod: (o, ino) => o.setattr(from(), ino, undefined, { mode: fileType.regular | 0o600 }),
  chown: (o, ino) => o.setattr(from(), ino, undefined, { uid: 7, gid: 8, killPrivileges: true }),
  "rename and back": async (o) => {
    await o.rename(from(), rootIno, name("file"), rootIno, name("moved"), 0);
    await o.rename(from(), rootIno, name("moved"), rootIno, name("file"), 0);
  },
  "a second name's end": async (o, ino) => {
    await o.link(from(), ino, rootIno, name("twin"));
    await o.unlink(from(), rootIno, name("twin"));
  },
};

for (const [change, act] of Object.entries(changes)) {
  for (const bytes of [10, 200_000]) {
    test(`the time of a write of ${String(bytes)} bytes stays behind ${change}`, async (t) => {
      const { operations, nameServer } = await (await startCluster(t)).mount("one");
      // So that what follows runs ahead.
      await operations.mkdir(from(), rootIno, name("first"), { mode: 0o755, umask: 0 });
      await operations.mkdir(from(), rootIno, name("second"), { mode: 0o755, umask: 0 });
      await sleep(systemClock, 20);
      const { entry, opened } = await createFile(operations, "file", { parent: rootIno });
      const { ino } = entry.attributes;
      const shown = async (): Promise<Attributes> => (await operations.getattr(from(), ino, undefined)).attributes;
      for (const waits of [0, 1, 4, 15]) {
        await operations.write(from(), ino, opened.handle, 0, Buffer.alloc(bytes, "x"), writing);
        const written = (await shown()).mtime;
        await operations.flush(from(), ino, opened.handle, 1n);
        const flushed = operations.fsync(from(), ino, opened.handle, false);
        await sleep(systemClock, waits);
        await act(operations, ino);
        for (let i = 0; i < 20; i++) {
          const { mtime, size } = await shown();
          t.deepEqual([mtime, size], [written, bytes], `${String(waits)} ms, look ${String(i)}`);
          await sleep(systemClock, 1);
          // What is changed now starts from what is known by now.
          await act(operations, ino);
        }
        await flushed;
        await nameServer.ahead.flush();
        t.is((await shown()).mtime, written);
        t.is((await nameServer.ask("getattr", { ino })).attributes.mtime, written);
      }
    });
  }
}

for (const bytes of [10, 200_000]) {
  test(`a time that is set stays behind a write of ${String(bytes)} bytes, also while that is on its way`, async (t) => {
    const { operations, nameServer } = await (await startCluster(t)).mount("one");
    const { entry, opened } = await createFile(operations, "file", { parent: rootIno });
    const { ino } = entry.attributes;
    const shown = async (): Promise<Attributes> => (await operations.getattr(from(), ino, undefined)).attributes;
    for (const waits of [0, 1, 2, 4, 8, 15]) {
      await operations.write(from(), ino, opened.handle, 0, Buffer.alloc(bytes, "x"), writing);
      const flushed = operations.fsync(from(), ino, opened.handle, false);
      await sleep(systemClock, waits);
      await operations.setattr(from(), ino, undefined, { mtime: 1_000n });
      for (let i = 0; i < 20; i++) {
        t.is((await shown()).mtime, 1_000n, `${String(waits)} ms, look ${String(i)}`);
        await sleep(systemClock, 1);
      }
      await flushed;
      await nameServer.ahead.flush();
      t.is((await nameServer.ask("getattr", { ino })).attributes.mtime, 1_000n, `${String(waits)} ms`);
    }
  });
}
