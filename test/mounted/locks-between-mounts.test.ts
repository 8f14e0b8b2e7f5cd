/**
 * Locks of all three kinds between processes of three mounts: no update is lost under them, and each way for one to end
 * (unlock, close, exit, kill, a signal to who waits) is seen by those who wait elsewhere.
 */
import test from "ava";
import { F, LOCK, O } from "../conformance/libc/constants.ts";
import { errnoOf, type Actor } from "./actor.ts";
import { eventually } from "./acting.ts";
import type { LockKind } from "./contests.ts";
import { SeveralMounts } from "./several-mounts.ts";

const kinds: readonly LockKind[] = ["fcntl", "flock", "OFD"];
const times = 60;

let mounts: SeveralMounts;
test.before(async () => {
  mounts = await SeveralMounts.start(3);
});
test.after.always(() => mounts.close());

/** A file of its own for each test, and its path on each mount. */
async function lockFile(actor: Actor, name: string): Promise<[string, string, string]> {
  const [first = "", second = "", third = ""] = mounts.everywhere(name);
  await actor.call("writeWhole", first, "0".padStart(12));
  return [first, second, third];
}

for (const kind of kinds) {
  test.serial(`a counter under ${kind} locks of three mounts with two processes each loses no update`, async (t) => {
    t.timeout(120_000);
    await mounts.withActors(6, async (...actors) => {
      const paths = await lockFile(actors[0] as Actor, `counter-${kind}`);
      await Promise.all(
        actors.map((actor, i) => actor.callWithin(90, "count", paths[i % 3] as string, { kind, times })),
      );
      for (const path of paths) {
        t.is(Number(String(await (actors[0] as Actor).call("readWhole", path))), actors.length * times);
      }
    });
  });

  test.serial(`${kind}: the holder is killed, and who waits on another mount gets the lock at once`, async (t) => {
    t.timeout(60_000);
    await mounts.withActors(2, async (waiter, other) => {
      const paths = await lockFile(waiter, `killed-${kind}`);
      for (let round = 0; round < 3; round++) {
        await mounts.withActors(1, async (victim) => {
          const held = await victim.call("open", paths[0], O.RDWR);
          await victim.call("setLock", held, kind, "write");
          const fd = await waiter.call("open", paths[1], O.RDWR);
          const refused = await other.call("open", paths[2], O.RDWR);
          t.is(await errnoOf(other.call("setLock", refused, kind, "write", { wait: false })), "EAGAIN");
          const granted = waiter.call("setLock", fd, kind, "write");
          await eventually("it waits for the lock", () => waiter.isWaiting(), 10);
          const start = performance.now();
          await victim.kill();
          await granted;
          const millis = performance.now() - start;
          // Far less than the time after which its session would end.
          t.true(millis < 5_000, `granted after ${String(millis)} ms`);
          t.is(await errnoOf(other.call("setLock", refused, kind, "write", { wait: false })), "EAGAIN");
          await waiter.call("close", fd);
          await other.call("close", refused);
        });
      }
    });
  });

  test.serial(`${kind}: a signal ends the wait with EINTR, and nothing of it remains`, async (t) => {
    t.timeout(60_000);
    await mounts.withActors(3, async (holder, waiter, other) => {
      const paths = await lockFile(holder, `interrupted-${kind}`);
      const held = await holder.call("open", paths[0], O.RDWR);
      const fd = await waiter.call("open", paths[1], O.RDWR);
      const third = await other.call("open", paths[2], O.RDWR);
      await waiter.call("catchSignal");
      for (let round = 0; round < 5; round++) {
        await holder.call("setLock", held, kind, "write");
        const interrupted = errnoOf(waiter.call("setLock", fd, kind, "write"));
        await eventually("it waits for the lock", () => waiter.isWaiting(), 10);
        waiter.signal("SIGUSR2");
        t.is(await interrupted, "EINTR");
        await holder.call("setLock", held, kind, "unlock");
        // Would fail if the interrupted wait had been granted after all.
        t.is(await errnoOf(other.call("setLock", third, kind, "write", { wait: false })), undefined);
        await other.call("setLock", third, kind, "unlock");
      }
    });
  });

  test.serial(`${kind}: a lock that ends by close or by exit is there for another mount`, async (t) => {
    t.timeout(60_000);
    await mounts.withActors(2, async (holder, waiter) => {
      const paths = await lockFile(holder, `left-${kind}`);
      const fd = await waiter.call("open", paths[1], O.RDWR);
      for (const end of ["close", "exit"] as const) {
        for (const isWaited of [false, true]) {
          await mounts.withActors(1, async (leaver) => {
            const held = await leaver.call("open", paths[0], O.RDWR);
            await leaver.call("setLock", held, kind, "write");
            t.is(await errnoOf(waiter.call("setLock", fd, kind, "write", { wait: false })), "EAGAIN");
            const early = isWaited ? waiter.call("setLock", fd, kind, "write") : undefined;
            if (isWaited) await eventually("it waits for the lock", () => waiter.isWaiting(), 10);
            if (end === "close") await leaver.call("close", held);
            else await leaver.exit();
            // close tells the driver of fcntl locks before it returns; of others a moment later.
            if (kind === "fcntl" && !isWaited) {
              t.is(await errnoOf(waiter.call("setLock", fd, kind, "write", { wait: false })), undefined);
            }
            await (early ?? waiter.callWithin(5, "setLock", fd, kind, "write"));
            await waiter.call("setLock", fd, kind, "unlock");
          });
        }
      }
    });
  });
}

test.serial("two mounts that would wait for each other: one is told EDEADLK, the other gets its lock", async (t) => {
  t.timeout(60_000);
  await mounts.withActors(2, async (a, b) => {
    const [here, there] = await lockFile(a, "deadlock");
    const [mine, other] = [await a.call("open", here, O.RDWR), await b.call("open", there, O.RDWR)];
    const range = (start: bigint, type: number = F.WRLCK): { type: number; start: bigint; length: bigint } => ({
      type,
      start,
      length: 10n,
    });
    const unlock = (actor: Actor, fd: number, start: bigint): Promise<unknown> =>
      actor.call("lock", fd, F.SETLK, range(start, F.UNLCK));
    for (let round = 0; round < 10; round++) {
      await a.call("lock", mine, F.SETLK, range(0n));
      await b.call("lock", other, F.SETLK, range(10n));
      // Who closes the circle is decided where both arrive: either may be the second there.
      const crossing = [
        { asked: errnoOf(a.call("lock", mine, F.SETLKW, range(10n))), giveUp: () => unlock(a, mine, 0n) },
        { asked: errnoOf(b.call("lock", other, F.SETLKW, range(0n))), giveUp: () => unlock(b, other, 10n) },
      ];
      const results = await Promise.all(
        crossing.map(async ({ asked, giveUp }) => {
          const errno = await asked;
          if (errno === "EDEADLK") await giveUp();
          return errno;
        }),
      );
      t.deepEqual(
        results.filter((errno) => errno !== undefined),
        ["EDEADLK"],
        `round ${String(round)}`,
      );
      for (const start of [0n, 10n]) {
        await unlock(a, mine, start);
        await unlock(b, other, start);
      }
    }
  });
});

test.serial("many readers of three mounts share a lock, and a writer waits for all of them", async (t) => {
  t.timeout(60_000);
  await mounts.withActors(4, async (writer, ...readers) => {
    const paths = await lockFile(writer, "shared-lock");
    const fd = await writer.call("open", paths[0], O.RDWR);
    const fds = await Promise.all(readers.map((reader, i) => reader.call("open", paths[i] as string, O.RDONLY)));
    for (let round = 0; round < 5; round++) {
      await Promise.all(readers.map((reader, i) => reader.call("flock", fds[i] as number, LOCK.SH | LOCK.NB)));
      let isGranted = false;
      const granted = writer.call("flock", fd, LOCK.EX).then(() => {
        isGranted = true;
      });
      await eventually("it waits for the lock", () => writer.isWaiting(), 10);
      for (const [i, reader] of readers.entries()) {
        t.false(isGranted, `with ${String(readers.length - i)} readers`);
        await reader.call("flock", fds[i] as number, LOCK.UN);
      }
      await granted;
      t.is(await errnoOf((readers[0] as Actor).call("flock", fds[0] as number, LOCK.SH | LOCK.NB)), "EAGAIN");
      await writer.call("flock", fd, LOCK.UN);
    }
  });
});

test.serial("no log has an error after all of that", (t) => {
  t.deepEqual(mounts.errors(), []);
});
