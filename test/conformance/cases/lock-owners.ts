/** What differs between fcntl and OFD locks: who owns them. */
import { equal, fails, suite } from "../case.ts";
import { F, O } from "../libc/constants.ts";
import { sys } from "../libc/sys.ts";
import { file, opened, pause, waitsInCall } from "../steps.ts";

const cases = suite("locks");
export const lockOwnerCases = cases.all;

const whole = { start: 0n, length: 0n };

cases.add("fcntl: a close of any descriptor of the file releases the process' locks", (p) => {
  file(p.path("a"));
  const theirs = p.peer.call("open", p.path("a"), O.RDWR);
  opened(p.path("a"), O.RDWR, (fd) => {
    sys.lock(fd, F.SETLK, { type: F.WRLCK, ...whole });
    fails("EAGAIN", () => p.peer.call("lock", theirs, F.SETLK, { type: F.WRLCK, ...whole }));
    sys.close(sys.open(p.path("a"), O.RDONLY));
    p.peer.call("lock", theirs, F.SETLK, { type: F.WRLCK, ...whole });
  });
  p.peer.call("close", theirs);
});

cases.add("fcntl: two descriptors of one process never exclude each other", (p) => {
  file(p.path("a"));
  opened(p.path("a"), O.RDWR, (one) =>
    opened(p.path("a"), O.RDWR, (two) => {
      sys.lock(one, F.SETLK, { type: F.WRLCK, ...whole });
      sys.lock(two, F.SETLK, { type: F.WRLCK, ...whole });
      equal(sys.lock(two, F.GETLK, { type: F.WRLCK, ...whole }).type, F.UNLCK);
    }),
  );
});

cases.add("OFD: two opens of one process exclude each other, a dup does not", (p) => {
  file(p.path("a"));
  opened(p.path("a"), O.RDWR, (one) =>
    opened(p.path("a"), O.RDWR, (two) => {
      sys.lock(one, F.OFD_SETLK, { type: F.WRLCK, ...whole });
      fails("EAGAIN", sys.lock, two, F.OFD_SETLK, { type: F.WRLCK, ...whole });
      const copy = sys.dup(one);
      sys.lock(copy, F.OFD_SETLK, { type: F.WRLCK, ...whole });
      sys.close(copy);
      fails("EAGAIN", sys.lock, two, F.OFD_SETLK, { type: F.RDLCK, ...whole });
    }),
  );
});

cases.add("OFD: a close of another open of the file releases nothing", (p) => {
  file(p.path("a"));
  const theirs = p.peer.call("open", p.path("a"), O.RDWR);
  const fd = sys.open(p.path("a"), O.RDWR);
  sys.lock(fd, F.OFD_SETLK, { type: F.WRLCK, ...whole });
  sys.close(sys.open(p.path("a"), O.RDWR));
  pause();
  fails("EAGAIN", () => p.peer.call("lock", theirs, F.OFD_SETLK, { type: F.WRLCK, ...whole }));
  sys.close(fd);
  // The last close frees it, perhaps a moment later: this waits for that.
  p.peer.call("lock", theirs, F.OFD_SETLKW, { type: F.WRLCK, ...whole });
  p.peer.call("close", theirs);
});

cases.add("OFD: excludes fcntl locks of the same process", (p) => {
  file(p.path("a"));
  opened(p.path("a"), O.RDWR, (fd) => {
    sys.lock(fd, F.OFD_SETLK, { type: F.WRLCK, ...whole });
    fails("EAGAIN", sys.lock, fd, F.SETLK, { type: F.WRLCK, ...whole });
  });
});

cases.add("OFD: with a pid is EINVAL", (p) => {
  file(p.path("a"));
  opened(p.path("a"), O.RDWR, (fd) => {
    fails("EINVAL", sys.lock, fd, F.OFD_SETLK, { type: F.WRLCK, ...whole, pid: 1 });
  });
});

cases.add("fcntl: a circle of two waiting processes is EDEADLK", (p) => {
  file(p.path("a"));
  const theirs = p.peer.call("open", p.path("a"), O.RDWR);
  opened(p.path("a"), O.RDWR, (mine) => {
    sys.lock(mine, F.SETLK, { type: F.WRLCK, start: 0n, length: 1n });
    p.peer.call("lock", theirs, F.SETLK, { type: F.WRLCK, start: 1n, length: 1n });
    waitsInCall(p.peer, () => {
      p.peer.start("lock", theirs, F.SETLKW, { type: F.WRLCK, start: 0n, length: 1n });
    });
    fails("EDEADLK", sys.lock, mine, F.SETLKW, { type: F.WRLCK, start: 1n, length: 1n });
    sys.lock(mine, F.SETLK, { type: F.UNLCK, ...whole });
    p.peer.finish();
  });
  p.peer.call("close", theirs);
});

cases.add("fcntl: a circle over two files is EDEADLK", (p) => {
  file(p.path("a"));
  file(p.path("b"));
  const [theirA, theirB] = [p.peer.call("open", p.path("a"), O.RDWR), p.peer.call("open", p.path("b"), O.RDWR)];
  opened(p.path("a"), O.RDWR, (a) =>
    opened(p.path("b"), O.RDWR, (b) => {
      sys.lock(a, F.SETLK, { type: F.WRLCK, ...whole });
      p.peer.call("lock", theirB, F.SETLK, { type: F.WRLCK, ...whole });
      waitsInCall(p.peer, () => {
        p.peer.start("lock", theirA, F.SETLKW, { type: F.WRLCK, ...whole });
      });
      fails("EDEADLK", sys.lock, b, F.SETLKW, { type: F.WRLCK, ...whole });
      sys.lock(a, F.SETLK, { type: F.UNLCK, ...whole });
      p.peer.finish();
    }),
  );
  p.peer.call("close", theirA);
  p.peer.call("close", theirB);
});

cases.add("fcntl: a waiting read lock is granted beside another read lock", (p) => {
  file(p.path("a"));
  const theirs = p.peer.call("open", p.path("a"), O.RDWR);
  opened(p.path("a"), O.RDWR, (fd) => {
    sys.lock(fd, F.SETLK, { type: F.WRLCK, ...whole });
    waitsInCall(p.peer, () => {
      p.peer.start("lock", theirs, F.SETLKW, { type: F.RDLCK, ...whole });
    });
    sys.lock(fd, F.SETLK, { type: F.RDLCK, ...whole });
    p.peer.finish();
  });
  p.peer.call("close", theirs);
});

cases.add("fcntl: is held by an unlinked file too", (p) => {
  file(p.path("a"));
  const theirs = p.peer.call("open", p.path("a"), O.RDWR);
  opened(p.path("a"), O.RDWR, (fd) => {
    sys.unlink(p.path("a"));
    sys.lock(fd, F.SETLK, { type: F.WRLCK, ...whole });
    fails("EAGAIN", () => p.peer.call("lock", theirs, F.SETLK, { type: F.RDLCK, ...whole }));
  });
  p.peer.call("close", theirs);
});

cases.add("fcntl: locks of one file say nothing about another", (p) => {
  file(p.path("a"));
  file(p.path("b"));
  const theirs = p.peer.call("open", p.path("b"), O.RDWR);
  opened(p.path("a"), O.RDWR, (fd) => {
    sys.lock(fd, F.SETLK, { type: F.WRLCK, ...whole });
    p.peer.call("lock", theirs, F.SETLK, { type: F.WRLCK, ...whole });
  });
  p.peer.call("close", theirs);
});

cases.add("fcntl: counts for the inode under all its names", (p) => {
  file(p.path("a"));
  sys.link(p.path("a"), p.path("b"));
  const theirs = p.peer.call("open", p.path("b"), O.RDWR);
  opened(p.path("a"), O.RDWR, (fd) => {
    sys.lock(fd, F.SETLK, { type: F.WRLCK, ...whole });
    fails("EAGAIN", () => p.peer.call("lock", theirs, F.SETLK, { type: F.WRLCK, ...whole }));
  });
  p.peer.call("close", theirs);
});
