/**
 * Two machines on one cluster, until leases keep their caches true: the second is admitted when the first has forgotten
 * everything, and while both are there, what one did the other sees at its very next system call.
 */
import test, { type ExecutionContext } from "ava";
import { F, LOCK, O } from "../conformance/libc/constants.ts";
import type { Peer } from "../conformance/peer.ts";
import { startCluster, type Cluster } from "../support/cluster.ts";
import { eventually, newRequests, requestsIn, SecondMount, startDfs, withPeers } from "./acting.ts";

let cluster: Cluster;
let second: SecondMount;
/** Of the first mount, with one line for each request. */
let log: string;
const here = (name: string): string => `${cluster.mnt}/${name}`;
const there = (name: string): string => `${second.mnt}/${name}`;

test.before(async () => {
  cluster = await startCluster();
  second = new SecondMount(cluster);
  log = `${cluster.dir}/first.log`;
  await startDfs(["umount", cluster.mnt]);
  await startDfs(["mount", "--debug", "--log", log, second.address, cluster.mnt]);
});
test.after.always(async () => {
  await second.remove();
  // `dfs cluster down` takes away only the mount that it made.
  await startDfs(["umount", cluster.mnt]);
  cluster.down();
});

test.serial(
  "the second mount sees what the first has not sent yet, and the first what the second changes",
  async (t) => {
    await withPeers(2, async (a, b) => {
      const fd = a.call("open", here("early"), O.RDWR | O.CREAT);
      a.call("pwrite", fd, Buffer.alloc(300_000, 1), 0);
      a.call("pread", fd, 300_000, 0);
      a.call("mkdir", here("folder"));
      for (let i = 0; i < 3; i++) {
        a.call("stat", here("early"));
        t.throws(() => a.call("stat", here("folder/absent")), { message: /ENOENT/ });
        t.is(a.call("readlink", "/proc/self/cwd").length > 0, true);
      }
      await second.mount();
      const other = b.call("open", there("early"), O.RDWR);
      t.true(b.call("pread", other, 300_000, 0).equals(Buffer.alloc(300_000, 1)));
      b.call("close", b.call("open", there("folder/absent"), O.CREAT | O.WRONLY, 0o640));
      b.call("pwrite", other, "changed", 100);
      b.call("chmod", there("early"), 0o600);
      t.is(a.call("stat", here("folder/absent")).mode & 0o777, 0o640);
      t.is(a.call("stat", here("early")).mode & 0o777, 0o600);
      const again = a.call("open", here("early"), O.RDONLY);
      t.is(a.call("pread", again, 7, 100).toString(), "changed");
    });
  },
);

/** One change by `a` in its directory, and what `b` must see by its next call in its own view of the same directory. */
type Round = (t: ExecutionContext, a: Side, b: Side, round: number) => void;
class Side {
  readonly peer: Peer;
  private readonly root: string;
  /** Kept open while the rounds go on. */
  fd = -1;
  constructor(peer: Peer, root: string) {
    this.peer = peer;
    this.root = root;
  }
  path(name: string): string {
    return `${this.root}/${name}`;
  }
  write(name: string, content: string, flags: number = O.TRUNC): void {
    const fd = this.peer.call("open", this.path(name), O.WRONLY | O.CREAT | flags);
    this.peer.call("write", fd, content);
    this.peer.call("close", fd);
  }
  read(name: string): string {
    const fd = this.peer.call("open", this.path(name), O.RDONLY);
    const content = this.peer.call("read", fd, 100_000).toString();
    this.peer.call("close", fd);
    return content;
  }
}

const rounds: Record<string, Round> = {
  "write and close, read": (t, a, b, i) => {
    a.write("file", `content ${String(i)} `.repeat(1 + (i % 30)));
    t.is(b.read("file"), `content ${String(i)} `.repeat(1 + (i % 30)));
  },
  "write and close, stat": (t, a, b, i) => {
    a.write("sized", "x".repeat(i % 5_000));
    t.is(b.peer.call("stat", b.path("sized")).size, BigInt(i % 5_000));
  },
  "write, read through a file that stays open": (t, a, b, i) => {
    const bytes = Buffer.from(`round ${String(i)}`.padEnd(20));
    a.peer.call("pwrite", a.fd, bytes, (i * 37) % 9_000);
    t.is(b.peer.call("pread", b.fd, 20, (i * 37) % 9_000).toString(), bytes.toString());
  },
  truncate: (t, a, b, i) => {
    a.peer.call("truncate", a.path("sized"), (i * 131) % 9_000);
    t.is(b.peer.call("stat", b.path("sized")).size, BigInt((i * 131) % 9_000));
    t.is(b.read("sized").length, (i * 131) % 9_000);
  },
  rename: (t, a, b, i) => {
    a.write(`old-${String(i)}`, "moved");
    t.is(b.read(`old-${String(i)}`), "moved");
    a.peer.call("rename", a.path(`old-${String(i)}`), a.path("renamed"));
    t.throws(() => b.peer.call("stat", b.path(`old-${String(i)}`)), { message: /ENOENT/ });
    t.is(b.read("renamed"), "moved");
  },
  "unlink and make anew": (t, a, b, i) => {
    a.write("replaced", `first ${String(i)}`);
    const { ino } = b.peer.call("stat", b.path("replaced"));
    a.peer.call("unlink", a.path("replaced"));
    t.throws(() => b.peer.call("open", b.path("replaced"), O.RDONLY), { message: /ENOENT/ });
    a.write("replaced", `second ${String(i)}`);
    t.not(b.peer.call("stat", b.path("replaced")).ino, ino);
    t.is(b.read("replaced"), `second ${String(i)}`);
  },
  "chmod and chown": (t, a, b, i) => {
    a.peer.call("chmod", a.path("file"), 0o600 + (i % 64));
    t.is(b.peer.call("stat", b.path("file")).mode & 0o777, 0o600 + (i % 64));
    a.peer.call("chown", a.path("file"), i, i + 1);
    t.is(b.peer.call("stat", b.path("file")).uid, i);
  },
  utimensat: (t, a, b, i) => {
    a.peer.call("utimensat", a.path("file"), [BigInt(i), BigInt(i) * 1_000_000_007n]);
    t.is(b.peer.call("stat", b.path("file")).mtime, BigInt(i) * 1_000_000_007n);
  },
  "setxattr and removexattr": (t, a, b, i) => {
    a.peer.call("setxattr", a.path("file"), "user.round", String(i));
    t.is(b.peer.call("getxattr", b.path("file"), "user.round").toString(), String(i));
    a.peer.call("removexattr", a.path("file"), "user.round");
    t.throws(() => b.peer.call("getxattr", b.path("file"), "user.round"), { message: /ENODATA/ });
  },
  "symlink made anew": (t, a, b, i) => {
    if (i > 1) a.peer.call("unlink", a.path("link"));
    a.peer.call("symlink", `target ${String(i)}`, a.path("link"));
    t.is(b.peer.call("readlink", b.path("link")).toString(), `target ${String(i)}`);
  },
  append: (t, a, b, i) => {
    a.write("log", `line ${String(i)}\n`, O.APPEND);
    t.true(b.read("log").endsWith(`line ${String(i)}\n`));
  },
  "mkdir and rmdir": (t, a, b, i) => {
    a.peer.call("mkdir", a.path(`dir-${String(i)}`));
    b.write(`dir-${String(i)}/inside`, "x");
    t.throws(() => a.peer.call("rmdir", a.path(`dir-${String(i)}`)), { message: /ENOTEMPTY/ });
    b.peer.call("unlink", b.path(`dir-${String(i)}/inside`));
    a.peer.call("rmdir", a.path(`dir-${String(i)}`));
    t.throws(() => b.peer.call("stat", b.path(`dir-${String(i)}`)), { message: /ENOENT/ });
  },
  "link and its count": (t, a, b, i) => {
    a.peer.call("link", a.path("file"), a.path(`name-${String(i)}`));
    t.is(b.peer.call("stat", b.path("file")).nlink, 2);
    a.peer.call("unlink", a.path(`name-${String(i)}`));
    t.is(b.peer.call("stat", b.path("file")).nlink, 1);
  },
};

for (const [title, round] of Object.entries(rounds)) {
  test.serial(`the other mount sees at its next call: ${title}`, async (t) => {
    await withPeers(2, (one, two) => {
      const sides = [new Side(one, cluster.mnt), new Side(two, second.mnt)] as const;
      for (const side of sides) side.fd = openShared(side);
      sides[0].write("file", "file");
      for (let i = 1; i <= 120; i++) {
        const [a, b] = i % 2 === 0 ? sides : [sides[1], sides[0]];
        round(t, a, b, i);
      }
    });
  });
}

function openShared(side: Side): number {
  const fd = side.peer.call("open", side.path("shared"), O.RDWR | O.CREAT);
  side.peer.call("ftruncate", fd, 10_000);
  return fd;
}

test.serial("appends from both mounts at once lose nothing", async (t) => {
  await withPeers(4, (...peers) => {
    const fds = peers.map((peer, i) =>
      peer.call("open", i % 2 === 0 ? here("both") : there("both"), O.WRONLY | O.CREAT | O.APPEND),
    );
    const expected: string[] = [];
    for (let round = 0; round < 100; round++) {
      peers.forEach((peer, i) => {
        const line = `peer ${String(i)} round ${String(round)} ${"y".repeat((round * 7) % 200)}`;
        expected.push(line);
        peer.start("write", fds[i] as number, `${line}\n`);
      });
      for (const peer of peers) peer.finish();
    }
    for (const [peer, path] of [
      [peers[0], here("both")],
      [peers[1], there("both")],
    ] as const) {
      const fd = (peer as Peer).call("open", path, O.RDONLY);
      const lines = (peer as Peer).call("read", fd, 1_000_000).toString().split("\n").slice(0, -1);
      t.deepEqual(lines.sort(), [...expected].sort());
    }
  });
});

test.serial("of two that make a name with O_EXCL, link or mkdir one wins", async (t) => {
  await withPeers(2, (a, b) => {
    a.call("close", a.call("open", here("to link"), O.CREAT | O.WRONLY));
    for (let round = 0; round < 150; round++) {
      const name = `one-${String(round)}`;
      if (round % 3 === 0) {
        a.start("open", here(name), O.CREAT | O.EXCL | O.WRONLY);
        b.start("open", there(name), O.CREAT | O.EXCL | O.WRONLY);
      } else if (round % 3 === 1) {
        a.start("link", here("to link"), here(name));
        b.start("link", there("to link"), there(name));
      } else {
        a.start("mkdir", here(name));
        b.start("mkdir", there(name));
      }
      const outcomes = [a, b].map((peer) => {
        try {
          peer.finish();
          return "done";
        } catch (error) {
          return (error as Error).message.replace(/.*: /, "");
        }
      });
      t.deepEqual(outcomes.sort(), ["EEXIST", "done"], `round ${String(round)}`);
    }
  });
});

test.serial("flock, fcntl and OFD locks hold between the mounts, and pass to who waits", async (t) => {
  await withPeers(2, (a, b) => {
    const [mine, other] = [a.call("open", here("locked"), O.RDWR | O.CREAT), b.call("open", there("locked"), O.RDWR)];
    a.call("flock", mine, LOCK.EX);
    t.throws(() => b.call("flock", other, LOCK.SH | LOCK.NB), { message: /EAGAIN/ });
    b.start("flock", other, LOCK.EX);
    a.call("flock", mine, LOCK.UN);
    b.finish();
    t.throws(() => a.call("flock", mine, LOCK.EX | LOCK.NB), { message: /EAGAIN/ });
    b.call("flock", other, LOCK.UN);
    for (const [set, wait, get] of [
      [F.SETLK, F.SETLKW, F.GETLK],
      [F.OFD_SETLK, F.OFD_SETLKW, F.OFD_GETLK],
    ] as const) {
      a.call("lock", mine, set, { type: F.WRLCK, start: 10n, length: 10n });
      t.throws(() => b.call("lock", other, set, { type: F.RDLCK, start: 15n, length: 1n }), { message: /EAGAIN/ });
      t.is(b.call("lock", other, set, { type: F.WRLCK, start: 20n, length: 5n }).type, F.WRLCK);
      t.like(b.call("lock", other, get, { type: F.WRLCK, start: 0n, length: 0n }), { type: F.WRLCK, start: 10n });
      b.start("lock", other, wait, { type: F.WRLCK, start: 0n, length: 12n });
      a.call("lock", mine, set, { type: F.UNLCK, start: 0n, length: 0n });
      b.finish();
      t.throws(() => a.call("lock", mine, set, { type: F.WRLCK, start: 11n, length: 1n }), { message: /EAGAIN/ });
      b.call("lock", other, set, { type: F.UNLCK, start: 0n, length: 0n });
    }
  });
});

test.serial("a lock is free when its holder was killed on the other mount", async (t) => {
  await withPeers(1, async (a) => {
    const mine = a.call("open", here("locked"), O.RDWR);
    await withPeers(1, (victim) => {
      victim.call("flock", victim.call("open", there("locked"), O.RDWR), LOCK.EX);
      t.throws(() => a.call("flock", mine, LOCK.EX | LOCK.NB), { message: /EAGAIN/ });
      victim.kill();
      // Waits, and gets it.
      a.call("flock", mine, LOCK.EX);
    });
  });
});

test.serial("a file that is open on one mount survives its removal on the other", async (t) => {
  await withPeers(2, (a, b) => {
    for (let i = 0; i < 20; i++) {
      const fd = a.call("open", here("doomed"), O.RDWR | O.CREAT);
      a.call("pwrite", fd, `content ${String(i)}`, 0);
      if (i % 2 === 0) b.call("unlink", there("doomed"));
      else {
        b.call("close", b.call("open", there("over it"), O.CREAT | O.WRONLY));
        b.call("rename", there("over it"), there("doomed"));
      }
      a.call("pwrite", fd, "more", 50_000);
      t.is(a.call("pread", fd, 100, 0).toString("latin1", 0, 9), "content " + String(i).slice(0, 1));
      t.is(a.call("fstat", fd).nlink, 0);
      a.call("close", fd);
    }
  });
});

test.serial("when the second has gone, the first caches again", async (t) => {
  await second.umount();
  await withPeers(1, async (a) => {
    const fd = a.call("open", here("file"), O.RDONLY);
    const use = (): void => {
      a.call("stat", here("file"));
      a.call("pread", fd, 1_000, 0);
      t.throws(() => a.call("stat", here("not there")), { message: /ENOENT/ });
    };
    const costsNothing = (): boolean => {
      use();
      const before = requestsIn(log);
      for (let i = 0; i < 20; i++) use();
      return Object.keys(newRequests(before, requestsIn(log))).length === 0;
    };
    await eventually("warm reads cost no request", costsNothing);
  });
});

test.serial("no log has an error after all of that", (t) => {
  for (const text of [cluster.log("first"), cluster.log("second"), cluster.log("name")]) {
    t.deepEqual(
      text.split("\n").filter((line) => line.includes('"level":50')),
      [],
    );
  }
});
