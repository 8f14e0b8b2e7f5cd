/** flock, fcntl and OFD locks between two processes. */
import { equal, fails, suite, type Place } from "../case.ts";
import { F, LOCK, O } from "../libc/constants.ts";
import type { FileLock } from "../libc/structures.ts";
import { sys } from "../libc/sys.ts";
import { Peer } from "../peer.ts";
import { file, opened, pause, waitsInCall } from "../steps.ts";

const cases = suite("locks");
export const lockCases = cases.all;

/** What an asynchronous release frees a moment later. */
function soon(act: () => void): void {
  for (let tries = 0; ; tries++) {
    try {
      act();
      return;
    } catch (error) {
      if (tries === 200) throw error;
      pause(5);
    }
  }
}

/** A file that is open here and in the other process. */
function shared(p: Place, run: (mine: number, theirs: number) => void, flags: number = O.RDWR): void {
  file(p.path("a"), "0123456789");
  const theirs = p.peer.call("open", p.path("a"), flags);
  opened(p.path("a"), flags, (mine) => {
    run(mine, theirs);
  });
  p.peer.call("close", theirs);
}

const modes = [
  ["shared", LOCK.SH],
  ["exclusive", LOCK.EX],
] as const;
for (const [mineName, mine] of modes) {
  for (const [theirsName, theirs] of modes) {
    const compatible = mine === LOCK.SH && theirs === LOCK.SH;
    cases.add(`flock: ${theirsName} beside ${mineName} ${compatible ? "is granted" : "is EAGAIN"}`, (p) => {
      shared(p, (one, two) => {
        sys.flock(one, mine);
        if (compatible) p.peer.call("flock", two, theirs | LOCK.NB);
        else fails("EAGAIN", () => p.peer.call("flock", two, theirs | LOCK.NB));
        sys.flock(one, LOCK.UN);
        p.peer.call("flock", two, theirs | LOCK.NB);
      });
    });
  }
}

cases.add("flock: waits until the other process unlocks", (p) => {
  shared(p, (one, two) => {
    sys.flock(one, LOCK.EX);
    waitsInCall(p.peer, () => {
      p.peer.start("flock", two, LOCK.EX);
    });
    sys.flock(one, LOCK.UN);
    p.peer.finish();
    fails("EAGAIN", sys.flock, one, LOCK.SH | LOCK.NB);
  });
});

cases.add("flock: is released by the last close of the open file", (p) => {
  file(p.path("a"));
  const theirs = p.peer.call("open", p.path("a"), O.RDWR);
  const one = sys.open(p.path("a"), O.RDWR);
  const copy = sys.dup(one);
  sys.flock(one, LOCK.EX);
  sys.close(one);
  fails("EAGAIN", () => p.peer.call("flock", theirs, LOCK.EX | LOCK.NB));
  sys.close(copy);
  soon(() => p.peer.call("flock", theirs, LOCK.EX | LOCK.NB));
  p.peer.call("close", theirs);
});

cases.add("flock: two opens in one process exclude each other", (p) => {
  file(p.path("a"));
  opened(p.path("a"), O.RDWR, (one) =>
    opened(p.path("a"), O.RDWR, (two) => {
      sys.flock(one, LOCK.EX);
      fails("EAGAIN", sys.flock, two, LOCK.EX | LOCK.NB);
      sys.flock(one, LOCK.SH);
      sys.flock(two, LOCK.SH | LOCK.NB);
    }),
  );
});

cases.add("flock: works on a descriptor opened to read, and on a directory", (p) => {
  shared(
    p,
    (one, two) => {
      sys.flock(one, LOCK.EX);
      fails("EAGAIN", () => p.peer.call("flock", two, LOCK.SH | LOCK.NB));
    },
    O.RDONLY,
  );
  opened(p.dir, O.RDONLY, (fd) => sys.flock(fd, LOCK.EX | LOCK.NB));
});

cases.add("flock: is no obstacle to fcntl locks", (p) => {
  shared(p, (one, two) => {
    sys.flock(one, LOCK.EX);
    p.peer.call("lock", two, F.SETLK, { type: F.WRLCK });
  });
});

cases.add("flock: is released when its process is killed", (p) => {
  file(p.path("a"));
  const other = new Peer();
  try {
    const theirs = other.call("open", p.path("a"), O.RDWR);
    other.call("flock", theirs, LOCK.EX);
    opened(p.path("a"), O.RDWR, (fd) => {
      fails("EAGAIN", sys.flock, fd, LOCK.SH | LOCK.NB);
      other.kill();
      soon(() => {
        sys.flock(fd, LOCK.SH | LOCK.NB);
      });
    });
  } finally {
    other.close();
  }
});

for (const kind of ["fcntl", "OFD"] as const) {
  const ofd = kind === "OFD";
  const [SETLK, SETLKW, GETLK] = ofd ? [F.OFD_SETLK, F.OFD_SETLKW, F.OFD_GETLK] : [F.SETLK, F.SETLKW, F.GETLK];
  const types = [
    ["read", F.RDLCK],
    ["write", F.WRLCK],
  ] as const;

  for (const [mineName, mine] of types) {
    for (const [theirsName, theirs] of types) {
      for (const [where, lock, overlaps] of [
        ["the same range", { start: 100n, length: 10n }, true],
        ["one byte of it", { start: 109n, length: 1n }, true],
        ["what surrounds it", { start: 0n, length: 0n }, true],
        ["what ends before it", { start: 90n, length: 10n }, false],
        ["what begins after it", { start: 110n, length: 0n }, false],
      ] as const) {
        const granted = !overlaps || (mine === F.RDLCK && theirs === F.RDLCK);
        const what = granted ? "is granted" : "is EAGAIN";
        cases.add(`${kind}: a ${theirsName} lock of ${where} beside a ${mineName} lock ${what}`, (p) => {
          shared(p, (one, two) => {
            sys.lock(one, SETLK, { type: mine, start: 100n, length: 10n });
            const attempt = (): unknown => p.peer.call("lock", two, SETLK, { type: theirs, ...lock });
            if (granted) attempt();
            else fails(["EAGAIN", "EACCES"], attempt);
          });
        });
      }
    }
  }

  cases.add(`${kind}: waits until the range is unlocked`, (p) => {
    shared(p, (one, two) => {
      sys.lock(one, SETLK, { type: F.WRLCK, start: 0n, length: 10n });
      waitsInCall(p.peer, () => {
        p.peer.start("lock", two, SETLKW, { type: F.WRLCK, start: 5n, length: 10n });
      });
      sys.lock(one, SETLK, { type: F.UNLCK, start: 5n, length: 5n });
      p.peer.finish();
      fails("EAGAIN", sys.lock, one, SETLK, { type: F.RDLCK, start: 9n, length: 1n });
    });
  });

  cases.add(`${kind}: a shrunk lock frees exactly what was unlocked`, (p) => {
    shared(p, (one, two) => {
      sys.lock(one, SETLK, { type: F.WRLCK, start: 0n, length: 100n });
      sys.lock(one, SETLK, { type: F.UNLCK, start: 40n, length: 20n });
      const theirs = (start: bigint, length: bigint): unknown =>
        p.peer.call("lock", two, SETLK, { type: F.WRLCK, start, length });
      theirs(40n, 20n);
      fails("EAGAIN", theirs, 39n, 1n);
      fails("EAGAIN", theirs, 60n, 1n);
      theirs(100n, 0n);
    });
  });

  cases.add(`${kind}: a write lock becomes a read lock and back`, (p) => {
    shared(p, (one, two) => {
      const whole = { start: 0n, length: 0n };
      sys.lock(one, SETLK, { type: F.WRLCK, ...whole });
      sys.lock(one, SETLK, { type: F.RDLCK, ...whole });
      p.peer.call("lock", two, SETLK, { type: F.RDLCK, ...whole });
      fails("EAGAIN", sys.lock, one, SETLK, { type: F.WRLCK, ...whole });
      p.peer.call("lock", two, SETLK, { type: F.UNLCK, ...whole });
      sys.lock(one, SETLK, { type: F.WRLCK, ...whole });
    });
  });

  cases.add(`${kind}: GETLK tells the lock in the way, or that there is none`, (p) => {
    shared(p, (one, two) => {
      equal(sys.lock(one, GETLK, { type: F.WRLCK }).type, F.UNLCK);
      p.peer.call("lock", two, SETLK, { type: F.RDLCK, start: 7n, length: 5n });
      const found = sys.lock(one, GETLK, { type: F.WRLCK, start: 0n, length: 0n });
      equal([found.type, found.start, found.length], [F.RDLCK, 7n, 5n]);
      equal(found.pid, ofd ? -1 : p.peer.pid);
      equal(sys.lock(one, GETLK, { type: F.RDLCK, start: 0n, length: 0n }).type, F.UNLCK);
    });
  });

  cases.add(`${kind}: locks reach beyond the end of the file and to 2^63 - 1`, (p) => {
    shared(p, (one, two) => {
      sys.lock(one, SETLK, { type: F.WRLCK, start: (1n << 63n) - 2n, length: 1n });
      const at = (start: bigint): FileLock => ({ type: F.WRLCK, start, length: 1n });
      fails("EAGAIN", () => p.peer.call("lock", two, SETLK, at((1n << 63n) - 2n)));
      p.peer.call("lock", two, SETLK, at(1n << 40n));
    });
  });

  cases.add(`${kind}: a read lock needs a readable descriptor, a write lock a writable one`, (p) => {
    file(p.path("a"));
    opened(p.path("a"), O.RDONLY, (fd) => fails("EBADF", sys.lock, fd, SETLK, { type: F.WRLCK }));
    opened(p.path("a"), O.WRONLY, (fd) => fails("EBADF", sys.lock, fd, SETLK, { type: F.RDLCK }));
  });

  cases.add(`${kind}: a range before the file's start is EINVAL`, (p) => {
    file(p.path("a"));
    opened(p.path("a"), O.RDWR, (fd) =>
      fails("EINVAL", sys.lock, fd, SETLK, { type: F.RDLCK, start: -5n, length: 2n }),
    );
  });

  cases.add(`${kind}: a negative length counts backwards`, (p) => {
    shared(p, (one, two) => {
      sys.lock(one, SETLK, { type: F.WRLCK, start: 10n, length: -5n });
      fails("EAGAIN", () => p.peer.call("lock", two, SETLK, { type: F.WRLCK, start: 5n, length: 1n }));
      p.peer.call("lock", two, SETLK, { type: F.WRLCK, start: 10n, length: 1n });
    });
  });

  cases.add(`${kind}: counts from the position or the end, as asked`, (p) => {
    shared(p, (one, two) => {
      sys.lseek(one, 4, 0);
      sys.lock(one, SETLK, { type: F.WRLCK, whence: 1, start: 0n, length: 1n });
      sys.lock(one, SETLK, { type: F.WRLCK, whence: 2, start: -1n, length: 1n });
      for (const [start, errno] of [
        [3n, undefined],
        [4n, "EAGAIN"],
        [8n, undefined],
        [9n, "EAGAIN"],
      ] as const) {
        const attempt = (): unknown => p.peer.call("lock", two, SETLK, { type: F.WRLCK, start, length: 1n });
        if (errno === undefined) attempt();
        else fails(errno, attempt);
      }
    });
  });

  cases.add(`${kind}: is released when its process is killed`, (p) => {
    file(p.path("a"));
    const other = new Peer();
    try {
      const theirs = other.call("open", p.path("a"), O.RDWR);
      other.call("lock", theirs, SETLK, { type: F.WRLCK });
      opened(p.path("a"), O.RDWR, (fd) => {
        fails("EAGAIN", sys.lock, fd, SETLK, { type: F.RDLCK });
        other.kill();
        soon(() => sys.lock(fd, SETLK, { type: F.RDLCK }));
      });
    } finally {
      other.close();
    }
  });
}
