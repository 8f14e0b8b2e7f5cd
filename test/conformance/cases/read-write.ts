/** read, write, pread, pwrite, lseek, fsync: content and positions. */
import { equal, fails, holds, suite } from "../case.ts";
import { O, SEEK } from "../libc/constants.ts";
import { sys } from "../libc/sys.ts";
import { alice, contentOf, file, modeOf, moved, opened, ownedFile } from "../steps.ts";

const cases = suite("read and write");
export const readWriteCases = cases.all;

for (const bytes of [1, 4095, 4096, 4097, 16_300, 16_301, 65_536, 131_073, 1_048_576, 4_194_305]) {
  cases.add(`${String(bytes)} bytes come back as they were written`, (p) => {
    const content = Buffer.alloc(bytes, "0123456789abcde");
    file(p.path("a"), content);
    equal(sys.stat(p.path("a")).size, BigInt(bytes));
    holds(contentOf(p.path("a")) === content.toString("latin1"), "content");
  });
  cases.add(`${String(bytes)} bytes come back after fsync and a new open`, (p) => {
    const content = Buffer.alloc(bytes, "edcba9876543210");
    opened(p.path("a"), O.CREAT | O.WRONLY, (fd) => {
      equal(sys.write(fd, content), bytes);
      sys.fsync(fd);
    });
    holds(contentOf(p.path("a")) === content.toString("latin1"), "content");
  });
  cases.add(`a byte written at ${String(bytes)} leaves zeros before it`, (p) => {
    opened(p.path("a"), O.CREAT | O.RDWR, (fd) => {
      sys.pwrite(fd, "x", bytes);
      equal(sys.fstat(fd).size, BigInt(bytes + 1));
      holds(sys.pread(fd, bytes + 10, 0).equals(Buffer.concat([Buffer.alloc(bytes), Buffer.from("x")])), "content");
    });
  });
}

for (const [at, length] of [
  [0, 1],
  [4090, 12],
  [5000, 5000],
  [65_530, 20],
  [99_990, 20],
] as const) {
  cases.add(`${String(length)} bytes over the old ones at ${String(at)} change nothing else`, (p) => {
    const wanted = Buffer.alloc(Math.max(100_000, at + length), ".");
    file(p.path("a"), wanted.subarray(0, 100_000));
    opened(p.path("a"), O.RDWR, (fd) => {
      sys.pwrite(fd, Buffer.alloc(length, "X"), at);
      wanted.fill("X", at, at + length);
      holds(sys.pread(fd, 200_000, 0).equals(wanted), "at once");
      sys.fsync(fd);
    });
    holds(contentOf(p.path("a")) === wanted.toString("latin1"), "afterwards");
  });
}

cases.add("a thousand small writes make one file", (p) => {
  let wanted = "";
  opened(p.path("a"), O.CREAT | O.WRONLY, (fd) => {
    for (let i = 0; i < 1000; i++) {
      sys.write(fd, `${String(i)},`);
      wanted += `${String(i)},`;
    }
  });
  equal(contentOf(p.path("a")), wanted);
});

cases.add("writes from the end to the start make one file", (p) => {
  opened(p.path("a"), O.CREAT | O.RDWR, (fd) => {
    for (let i = 99; i >= 0; i--) sys.pwrite(fd, String(i % 10).repeat(100), i * 100);
    equal(sys.pread(fd, 300, 9_900).toString(), "9".repeat(100));
    equal(sys.pread(fd, 100, 500).toString(), "5".repeat(100));
    equal(sys.fstat(fd).size, 10_000n);
  });
});

cases.add("reading stops at the end, and is empty behind it", (p) => {
  file(p.path("a"), "abc");
  opened(p.path("a"), O.RDONLY, (fd) => {
    equal(sys.pread(fd, 10, 1).toString(), "bc");
    equal(sys.pread(fd, 10, 3).length, 0);
    equal(sys.pread(fd, 10, 1_000_000).length, 0);
    equal(sys.read(fd, 0).length, 0);
  });
});

cases.add("pread and pwrite leave the position where it is", (p) => {
  file(p.path("a"), "abcdef");
  opened(p.path("a"), O.RDWR, (fd) => {
    equal(sys.read(fd, 2).toString(), "ab");
    sys.pread(fd, 2, 4);
    sys.pwrite(fd, "X", 5);
    equal(sys.read(fd, 9).toString(), "cdeX");
  });
});

cases.add("a write of nothing changes nothing", (p) => {
  file(p.path("a"), "abc");
  opened(p.path("a"), O.WRONLY, (fd) => {
    equal(
      moved(p.path("a"), () => void sys.write(fd, "")),
      "",
    );
    equal(sys.pwrite(fd, "", 1000), 0);
  });
  equal(sys.stat(p.path("a")).size, 3n);
});

cases.add("a write moves mtime and ctime", (p) => {
  file(p.path("a"));
  opened(p.path("a"), O.WRONLY, (fd) => {
    for (let i = 0; i < 3; i++) {
      equal(
        moved(p.path("a"), () => void sys.write(fd, "x")),
        "mtime ctime",
      );
    }
  });
});

cases.add("a read moves atime by the relatime rule", (p) => {
  file(p.path("a"), "abc");
  sys.utimensat(p.path("a"), [1n, "omit"]);
  equal(
    moved(p.path("a"), () => void contentOf(p.path("a"))),
    "atime",
  );
  equal(
    moved(p.path("a"), () => void contentOf(p.path("a"))),
    "",
  );
});

cases.add("a pread with a negative offset is EINVAL", (p) => {
  file(p.path("a"), "abc");
  opened(p.path("a"), O.RDWR, (fd) => {
    fails("EINVAL", sys.pread, fd, 1, -1);
    fails("EINVAL", sys.pwrite, fd, "x", -1);
  });
});

cases.add("a write beyond the largest offset is EFBIG or EINVAL, and none of it happens", (p) => {
  file(p.path("a"), "abc");
  opened(p.path("a"), O.RDWR, (fd) => {
    fails("EFBIG", sys.pwrite, fd, "x", 1n << 62n);
    fails(["EFBIG", "EINVAL"], sys.pwrite, fd, "xy", (1n << 63n) - 1n);
  });
  equal(contentOf(p.path("a")), "abc");
});

cases.add("two descriptors see each other's writes at once", (p) => {
  opened(p.path("a"), O.CREAT | O.RDWR, (one) =>
    opened(p.path("a"), O.RDWR, (two) => {
      for (let i = 0; i < 50; i++) {
        sys.pwrite(one, `one ${String(i)}   `, 0);
        equal(sys.pread(two, 20, 0).toString().trim(), `one ${String(i)}`);
        sys.pwrite(two, `two ${String(i)}   `, 0);
        equal(sys.pread(one, 20, 0).toString().trim(), `two ${String(i)}`);
      }
    }),
  );
});

cases.add("two processes see each other's writes at once", (p) => {
  file(p.path("a"), "start");
  const theirs = p.peer.call("open", p.path("a"), O.RDWR);
  opened(p.path("a"), O.RDWR, (mine) => {
    for (let i = 0; i < 20; i++) {
      sys.pwrite(mine, `mine ${String(i)}  `, 0);
      equal(p.peer.call("pread", theirs, 20, 0).toString().trim(), `mine ${String(i)}`);
      p.peer.call("pwrite", theirs, `theirs ${String(i)}  `, 0);
      equal(sys.pread(mine, 20, 0).toString().trim(), `theirs ${String(i)}`);
    }
  });
  p.peer.call("close", theirs);
});

for (const mode of [0o4755, 0o2755, 0o6777, 0o6711]) {
  cases.add(`a write by a user clears setuid and setgid of mode ${mode.toString(8)}`, (p) => {
    ownedFile(p.path("a"), alice.uid, mode);
    sys.as(alice, () => opened(p.path("a"), O.WRONLY, (fd) => sys.write(fd, "x")));
    equal(modeOf(p.path("a")), mode & 0o777);
  });
  cases.add(`a write by root keeps setuid and setgid of mode ${mode.toString(8)}`, (p) => {
    ownedFile(p.path("a"), alice.uid, mode);
    opened(p.path("a"), O.WRONLY, (fd) => sys.write(fd, "x"));
    equal(modeOf(p.path("a")), mode);
  });
}

cases.add("a write by a user outside the group clears setgid without group execution", (p) => {
  ownedFile(p.path("a"), 0, 0o2666, 50);
  sys.as(alice, () => opened(p.path("a"), O.WRONLY, (fd) => sys.write(fd, "x")));
  equal(modeOf(p.path("a")) & 0o2000, 0);
});

const seek = suite("lseek");
for (const [whence, name] of [
  [SEEK.SET, "SEEK_SET"],
  [SEEK.CUR, "SEEK_CUR"],
  [SEEK.END, "SEEK_END"],
] as const) {
  const origin = { [SEEK.SET]: 0, [SEEK.CUR]: 4, [SEEK.END]: 10 }[whence];
  seek.add(`${name} counts from ${String(origin)} here, and may go beyond the end`, (p) => {
    file(p.path("a"), "0123456789");
    opened(p.path("a"), O.RDONLY, (fd) => {
      for (const offset of [0, 3, 1000, 2 ** 40]) {
        sys.lseek(fd, 4, SEEK.SET);
        equal(sys.lseek(fd, offset, whence), origin + offset);
      }
      equal(sys.read(fd, 1).length, 0);
    });
  });
  seek.add(`${name} to a negative position is EINVAL and stays where it was`, (p) => {
    file(p.path("a"), "0123456789");
    opened(p.path("a"), O.RDONLY, (fd) => {
      sys.lseek(fd, 4, SEEK.SET);
      fails("EINVAL", sys.lseek, fd, -11, whence);
      equal(sys.lseek(fd, 0, SEEK.CUR), 4);
    });
  });
}

seek.add("SEEK_END follows another descriptor's writes and truncation", (p) => {
  file(p.path("a"), "abc");
  opened(p.path("a"), O.RDONLY, (reader) =>
    opened(p.path("a"), O.RDWR, (writer) => {
      for (const size of [100, 5, 50_000, 0]) {
        sys.ftruncate(writer, size);
        equal(sys.lseek(reader, 0, SEEK.END), size);
      }
      sys.pwrite(writer, "x", 77);
      equal(sys.lseek(reader, 0, SEEK.END), 78);
    }),
  );
});

seek.add("an unknown whence is EINVAL", (p) => {
  file(p.path("a"));
  opened(p.path("a"), O.RDONLY, (fd) => fails("EINVAL", sys.lseek, fd, 0, 9));
});

export const seekCases = seek.all;
