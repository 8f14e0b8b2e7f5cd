/** O_DIRECT beside the page cache, limits on size, and what a killed process leaves behind. By dd, which aligns. */
import { spawnSync } from "node:child_process";
import { equal, fails, holds, suite, type Place } from "../case.ts";
import { F, LOCK, O } from "../libc/constants.ts";
import { sys } from "../libc/sys.ts";
import { Peer } from "../peer.ts";
import { contentOf, file, opened, waitsInCall } from "../steps.ts";

const cases = suite("direct");
export const directCases = cases.all;

function shell(p: Place, script: string): string {
  const { status, stdout, stderr } = spawnSync("/bin/sh", ["-c", script], { cwd: p.dir, encoding: "latin1" });
  if (status !== 0) throw new Error(`${script}: ${String(status)} ${stderr}`);
  return stdout;
}

for (const blocks of [1, 2, 17, 300]) {
  cases.add(`${String(blocks)} pages written with O_DIRECT are read without it`, (p) => {
    file(p.path("source"), Buffer.alloc(blocks * 4096, "0123456789abcdef!"));
    shell(p, "dd if=source of=a bs=4096 oflag=direct 2>/dev/null");
    holds(contentOf(p.path("a")) === contentOf(p.path("source")), "content");
  });
  cases.add(`${String(blocks)} pages written without O_DIRECT are read with it`, (p) => {
    file(p.path("source"), Buffer.alloc(blocks * 4096, "0123456789abcdef!"));
    shell(p, "dd if=source of=a bs=4096 iflag=direct 2>/dev/null");
    holds(contentOf(p.path("a")) === contentOf(p.path("source")), "content");
  });
}

cases.add("a write with O_DIRECT is seen by a descriptor that has cached the old content", (p) => {
  file(p.path("a"), "o".repeat(16_384));
  file(p.path("new"), "n".repeat(4096));
  opened(p.path("a"), O.RDONLY, (fd) => {
    equal(sys.pread(fd, 16_384, 0).length, 16_384);
    shell(p, "dd if=new of=a bs=4096 seek=1 conv=notrunc oflag=direct 2>/dev/null");
    equal(sys.pread(fd, 4098, 4095).toString(), "o" + "n".repeat(4096) + "o");
  });
});

cases.add("a read with O_DIRECT sees what was written a moment ago", (p) => {
  opened(p.path("a"), O.CREAT | O.RDWR, (fd) => {
    for (let i = 0; i < 5; i++) {
      sys.pwrite(fd, String(i).repeat(4096), 0);
      equal(shell(p, "dd if=a bs=4096 count=1 iflag=direct 2>/dev/null"), String(i).repeat(4096));
    }
  });
});

const limit = suite("size limit");

limit.add("a write beyond RLIMIT_FSIZE is EFBIG, and what fits is there", (p) => {
  const script = "trap '' XFSZ; ulimit -f 16; dd if=/dev/zero of=a bs=4096 count=100 2>&1 | grep -c 'File too large'";
  equal(shell(p, script).trim(), "1");
  // The shell counts in 512 or 1024 bytes.
  const { size } = sys.stat(p.path("a"));
  holds(size === 8192n || size === 16_384n, String(size));
});

limit.add("a truncation beyond RLIMIT_FSIZE is EFBIG", (p) => {
  file(p.path("a"), "abc");
  const script = "trap '' XFSZ; ulimit -f 16; truncate -s 1000000 a 2>&1 | grep -c 'File too large'";
  equal(shell(p, script).trim(), "1");
  equal(sys.stat(p.path("a")).size, 3n);
});

export const sizeLimitCases = limit.all;

const killed = suite("killed");

for (const kind of ["flock", "fcntl", "OFD"] as const) {
  killed.add(`a process that waited for an ${kind} lock gets it no more`, (p) => {
    file(p.path("a"));
    const waiter = new Peer();
    const third = p.peer.call("open", p.path("a"), O.RDWR);
    const whole = { type: F.WRLCK, start: 0n, length: 0n };
    try {
      const theirs = waiter.call("open", p.path("a"), O.RDWR);
      opened(p.path("a"), O.RDWR, (mine) => {
        if (kind === "flock") sys.flock(mine, LOCK.EX);
        else sys.lock(mine, kind === "fcntl" ? F.SETLK : F.OFD_SETLK, whole);
        waitsInCall(waiter, () => {
          if (kind === "flock") waiter.start("flock", theirs, LOCK.EX);
          else waiter.start("lock", theirs, kind === "fcntl" ? F.SETLKW : F.OFD_SETLKW, whole);
        });
        waiter.kill();
        if (kind === "flock") sys.flock(mine, LOCK.UN);
        else sys.lock(mine, kind === "fcntl" ? F.SETLK : F.OFD_SETLK, { ...whole, type: F.UNLCK });
        // Waits, if the dead one had been granted it a moment ago.
        if (kind === "flock") p.peer.call("flock", third, LOCK.EX);
        else p.peer.call("lock", third, kind === "fcntl" ? F.SETLKW : F.OFD_SETLKW, whole);
        if (kind === "flock") fails("EAGAIN", sys.flock, mine, LOCK.EX | LOCK.NB);
      });
    } finally {
      waiter.close();
      p.peer.call("close", third);
    }
  });
}

killed.add("a process that was writing leaves what it wrote", (p) => {
  const writer = new Peer();
  try {
    const fd = writer.call("open", p.path("a"), O.CREAT | O.WRONLY);
    writer.call("write", fd, "x".repeat(10_000));
  } finally {
    writer.close();
  }
  equal(contentOf(p.path("a")).length, 10_000);
});

killed.add("a process with an unlinked file open leaves the directory removable", (p) => {
  sys.mkdir(p.path("d"));
  file(p.path("d/a"), "content");
  const holder = new Peer();
  try {
    holder.call("open", p.path("d/a"), O.RDWR);
    sys.unlink(p.path("d/a"));
  } finally {
    holder.close();
  }
  sys.rmdir(p.path("d"));
});

export const killedCases = killed.all;
