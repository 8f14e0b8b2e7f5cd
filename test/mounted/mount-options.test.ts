/** `-o locks=`, `hard` and `timeout=` on real mounts: what they promise, and what they save. */
import test from "ava";
import { F, LOCK, O } from "../conformance/libc/constants.ts";
import { shell, startCluster, type Cluster } from "../support/cluster.ts";
import { eventually, isRunning, newRequests, requestsIn, SecondMount, withPeers } from "./acting.ts";

const set = F.SETLK;
const wholeFile = { start: 0n, length: 0n };

let cluster: Cluster;
let local: SecondMount;
let alsoLocal: SecondMount;
let soft: SecondMount;
const at = ({ mnt }: { mnt: string }, name: string): string => `${mnt}/${name}`;

test.before(async () => {
  cluster = await startCluster();
  [local, alsoLocal, soft] = ["local", "also-local", "soft"].map((name) => new SecondMount(cluster, name)) as [
    SecondMount,
    SecondMount,
    SecondMount,
  ];
  await local.mount("--debug", "-o", "locks=local");
  await alsoLocal.mount("-o", "locks=local");
  await soft.mount("-o", "timeout=2");
  await shell("touch lockable unsent", { seconds: 20, cwd: soft.mnt });
});
test.after.always(async (t) => {
  try {
    cluster.up();
  } catch (error) {
    t.log(String(error));
  }
  await Promise.all([local, alsoLocal, soft].map((mount) => mount.remove()));
  cluster.down();
});

test.serial("with locks=local flock and fcntl locks hold on one machine, and cost no message", async (t) => {
  await withPeers(3, (a, b, elsewhere) => {
    const mine = a.call("open", at(local, "locked"), O.RDWR | O.CREAT);
    const other = b.call("open", at(local, "locked"), O.RDWR);
    const far = elsewhere.call("open", at(alsoLocal, "locked"), O.RDWR);
    const before = requestsIn(local.logFile);
    a.call("flock", mine, LOCK.EX);
    t.throws(() => b.call("flock", other, LOCK.EX | LOCK.NB), { message: /EAGAIN/ });
    elsewhere.call("flock", far, LOCK.EX | LOCK.NB);
    a.call("lock", mine, set, { type: F.WRLCK, ...wholeFile });
    t.throws(() => b.call("lock", other, set, { type: F.RDLCK, ...wholeFile }), { message: /EAGAIN/ });
    elsewhere.call("lock", far, set, { type: F.WRLCK, ...wholeFile });
    a.call("close", mine);
    b.call("flock", other, LOCK.EX | LOCK.NB);
    b.call("lock", other, set, { type: F.WRLCK, ...wholeFile });
    const { release = 0, ...rest } = newRequests(before, requestsIn(local.logFile));
    t.true(release <= 1);
    t.deepEqual(rest, {}, "locking and closing asked the driver");
  });
});

test.serial(
  "with locks=local closing costs a FLUSH only after O_TRUNC, whose close waits for the new content",
  async (t) => {
    await withPeers(1, (a) => {
      const flushesOf = (flags: number): number => {
        const before = requestsIn(local.logFile);
        const fd = a.call("open", at(local, "closed"), flags);
        a.call("pwrite", fd, "content", 0);
        a.call("close", fd);
        return newRequests(before, requestsIn(local.logFile))["flush"] ?? 0;
      };
      t.is(flushesOf(O.RDWR | O.CREAT | O.EXCL), 0);
      t.is(flushesOf(O.RDWR), 0);
      t.is(flushesOf(O.WRONLY | O.APPEND), 0);
      t.is(flushesOf(O.RDWR | O.TRUNC), 1);
    });
  },
);

test.serial(
  "with locks=local nothing is stale: what was appended anywhere shows in the next read and stat",
  async (t) => {
    await withPeers(2, (a, b) => {
      for (let round = 0; round < 150; round++) {
        const name = `log-${String(round)}`;
        const [here, there] = [[a, at(local, name)] as const, [b, at(alsoLocal, name)] as const];
        const files = [here, there].map(([peer, path]) => ({
          peer,
          fd: peer.call("open", path, O.RDWR | O.CREAT | O.APPEND, 0o644),
        }));
        let written = "";
        for (const [i, { peer, fd }] of [...files, ...files].entries()) {
          if (((round >> i) & 1) === 0) continue;
          const record = String(i).repeat(60);
          peer.call("write", fd, Buffer.from(record));
          written += record;
          for (const reader of files) {
            const text = reader.peer.call("pread", reader.fd, 1 << 17, 0).toString();
            t.is(text, written, `round ${String(round)}, record ${String(i)}`);
            t.is(Number(reader.peer.call("fstat", reader.fd).size), written.length);
          }
        }
        for (const { peer, fd } of files) peer.call("close", fd);
      }
    });
  },
);

test.serial("without a name server programs wait, and go on when it is back", async (t) => {
  await withPeers(2, async (a, b) => {
    const fd = a.call("open", `${cluster.mnt}/waiting`, O.RDWR | O.CREAT, 0o644);
    await withoutNameServer(async () => {
      a.start("flock", fd, LOCK.EX);
      // That takes as long as the mount with a timeout waits.
      const timed = shell("flock lockable true", { seconds: 30, cwd: soft.mnt });
      await t.throwsAsync(timed, { message: /timed out$/im });
    });
    a.finish();
    const there = b.call("open", at(soft, "waiting"), O.RDWR);
    t.throws(() => b.call("flock", there, LOCK.EX | LOCK.NB), { message: /EAGAIN/ });
    a.call("pwrite", fd, "goes on", 0);
    a.call("fsync", fd);
    t.is(b.call("pread", b.call("open", at(alsoLocal, "waiting"), O.RDONLY), 100, 0).toString(), "goes on");
  });
});

test.serial(
  "with timeout=2 programs get an error after 2 s, and the mount goes on when the server is back",
  async (t) => {
    await withPeers(1, async (a) => {
      const fd = a.call("open", at(soft, "kept open"), O.RDWR | O.CREAT, 0o644);
      a.call("pwrite", fd, "before", 0);
      a.call("fsync", fd);
      await withoutNameServer(async () => {
        // Of the kinds that no lease answers.
        for (const script of ["echo unsent > unsent; sync unsent", "flock lockable true"]) {
          const begun = performance.now();
          await t.throwsAsync(shell(script, { seconds: 30, cwd: soft.mnt }), { message: /timed out$/im }, script);
          const millis = performance.now() - begun;
          t.true(millis > 1_500 && millis < 8_000, `${String(millis)} ms for ${script}`);
        }
      });
      await eventually("the mount is usable", () => succeeds(() => a.call("mkdir", at(soft, "made later"), 0o755)));
      a.call("pwrite", fd, "after!", 0);
      a.call("fsync", fd);
      t.is(a.call("pread", fd, 100, 0).toString(), "after!");
    });
  },
);

/** Kills it, and starts it again in any case. */
async function withoutNameServer(act: () => Promise<void>): Promise<void> {
  const killed = cluster.pid("name");
  cluster.kill("name");
  try {
    await eventually("the killed name server is gone", () => !isRunning(killed));
    await act();
  } finally {
    cluster.up();
  }
}

function succeeds(call: () => void): boolean {
  try {
    call();
    return true;
  } catch {
    return false;
  }
}
