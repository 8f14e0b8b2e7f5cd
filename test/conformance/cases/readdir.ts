/** readdir, seekdir, telldir, rewinddir, also while the directory changes. */
import { equal, fails, holds, suite, type Place } from "../case.ts";
import { O } from "../libc/constants.ts";
import { Directory, type DirectoryEntry } from "../libc/directory.ts";
import { sys } from "../libc/sys.ts";
import { alice, bob, file, moved, namesIn, ownedDirectory } from "../steps.ts";

const cases = suite("readdir");
export const readdirCases = cases.all;

function reading<T>(path: string, run: (directory: Directory) => T): T {
  const directory = new Directory(path);
  try {
    return run(directory);
  } finally {
    directory.close();
  }
}

function fill(p: Place, count: number, prefix = "f"): string[] {
  const names = Array.from({ length: count }, (_, i) => `${prefix}${String(i)}`);
  for (const name of names) sys.mknod(p.path(name), 0o100644);
  return names.sort();
}

function names(entries: readonly DirectoryEntry[]): string[] {
  return entries.map((entry) => entry.name).filter((name) => name !== "." && name !== "..");
}

for (const count of [0, 1, 10, 130, 1000, 3000]) {
  cases.add(`lists ${String(count)} names, '.' and '..' exactly once`, (p) => {
    const wanted = fill(p, count);
    reading(p.dir, (directory) => {
      const all = directory.readAll().map((entry) => entry.name);
      equal(all.length, count + 2);
      equal(all.sort(), [".", "..", ...wanted].sort());
    });
  });
}

cases.add("tells type and inode number of every entry", (p) => {
  file(p.path("file"));
  sys.mkdir(p.path("directory"));
  sys.symlink("x", p.path("symlink"));
  sys.mkfifo(p.path("fifo"));
  sys.mknod(p.path("socket"), 0o140644);
  sys.mknod(p.path("character"), 0o020644, 0x103);
  sys.mknod(p.path("block"), 0o060644, 0x701);
  const types: Record<string, number> = {};
  reading(p.dir, (directory) => {
    for (const { name, type, ino } of directory.readAll()) {
      types[name] = type;
      if (name !== "..") equal(ino, sys.lstat(p.path(name)).ino);
    }
  });
  equal(types, {
    ".": 4,
    "..": 4,
    file: 8,
    directory: 4,
    symlink: 10,
    fifo: 1,
    socket: 12,
    character: 2,
    block: 6,
  });
});

cases.add("'.' and '..' are the directory and its parent", (p) => {
  sys.mkdir(p.path("d"));
  reading(p.path("d"), (directory) => {
    const inos = new Map(directory.readAll().map((entry) => [entry.name, entry.ino]));
    equal(inos.get("."), sys.stat(p.path("d")).ino);
    equal(inos.get(".."), sys.stat(p.dir).ino);
  });
});

cases.add("rewinddir starts again, and shows what has changed", (p) => {
  fill(p, 10);
  reading(p.dir, (directory) => {
    directory.readAll();
    file(p.path("new"));
    sys.unlink(p.path("f3"));
    directory.rewind();
    const again = names(directory.readAll());
    holds(again.includes("new") && !again.includes("f3") && again.length === 10, again.join(" "));
  });
});

for (const count of [10, 500, 2000]) {
  cases.add(`seekdir to every tenth of ${String(count)} positions goes on there`, (p) => {
    fill(p, count);
    reading(p.dir, (directory) => {
      const all: { position: number | bigint; name: string }[] = [];
      for (;;) {
        const position = directory.tell();
        const entry = directory.read();
        if (entry === undefined) break;
        all.push({ position, name: entry.name });
      }
      for (let i = all.length - 1; i >= 0; i -= 10) {
        const { position, name } = all[i] ?? { position: 0, name: "" };
        directory.seek(position);
        equal(directory.read()?.name, name);
        equal(directory.read()?.name, all[i + 1]?.name);
      }
    });
  });
  cases.add(`a position of ${String(count)} names stays good when others come and go`, (p) => {
    fill(p, count);
    reading(p.dir, (directory) => {
      for (let i = 0; i < count / 2; i++) directory.read();
      const position = directory.tell();
      const next = directory.read()?.name ?? "";
      const rest = names(directory.readAll());
      for (const name of rest.slice(0, 5)) sys.unlink(p.path(name));
      fill(p, 20, "new");
      directory.seek(position);
      equal(directory.read()?.name, next);
      const again = new Set(names(directory.readAll()));
      for (const name of rest.slice(5)) holds(again.has(name), `${name} is missing`);
    });
  });
}

for (const count of [100, 1500]) {
  cases.add(`removing each of ${String(count)} names while listing finds all of them`, (p) => {
    const wanted = fill(p, count);
    const seen: string[] = [];
    reading(p.dir, (directory) => {
      for (let entry = directory.read(); entry !== undefined; entry = directory.read()) {
        if (entry.name.startsWith(".")) continue;
        seen.push(entry.name);
        sys.unlink(p.path(entry.name));
      }
    });
    equal(seen.sort(), wanted);
    equal(namesIn(p.dir), []);
  });
  cases.add(`making names while listing ${String(count)} shows every old one exactly once`, (p) => {
    const wanted = fill(p, count);
    const seen: string[] = [];
    reading(p.dir, (directory) => {
      for (let entry = directory.read(); entry !== undefined; entry = directory.read()) {
        seen.push(entry.name);
        if (seen.length % 7 === 0) file(p.path(`new${String(seen.length)}`));
        holds(seen.length < count * 10, "the listing ends");
      }
    });
    equal(seen.filter((name) => name.startsWith("f")).sort(), wanted);
    equal(new Set(seen).size, seen.length);
  });
  cases.add(`renaming names while listing ${String(count)} never loses or doubles the others`, (p) => {
    const wanted = fill(p, count);
    const kept = wanted.filter((_, i) => i % 3 !== 0);
    const renamed = wanted.filter((_, i) => i % 3 === 0);
    const seen: string[] = [];
    reading(p.dir, (directory) => {
      for (let entry = directory.read(); entry !== undefined; entry = directory.read()) {
        seen.push(entry.name);
        const from = renamed.pop();
        if (from !== undefined) sys.rename(p.path(from), p.path(`renamed-${from}`));
      }
    });
    equal(seen.filter((name) => kept.includes(name)).sort(), kept);
  });
}

cases.add("shows another process' new, renamed and removed names at the next listing", (p) => {
  fill(p, 5);
  equal(namesIn(p.dir).length, 5);
  p.peer.call("mkdir", p.path("theirs"));
  equal(namesIn(p.dir).includes("theirs"), true);
  p.peer.call("rename", p.path("theirs"), p.path("moved"));
  equal(namesIn(p.dir).includes("moved"), true);
  p.peer.call("rmdir", p.path("moved"));
  p.peer.call("unlink", p.path("f0"));
  equal(namesIn(p.dir), ["f1", "f2", "f3", "f4"]);
});

cases.add("of a directory that was removed is empty", (p) => {
  sys.mkdir(p.path("d"));
  reading(p.path("d"), (directory) => {
    sys.rmdir(p.path("d"));
    equal(names(directory.readAll()), []);
  });
});

cases.add("a listing that is open goes on after a rename of its directory", (p) => {
  sys.mkdir(p.path("d"));
  for (let i = 0; i < 300; i++) sys.mknod(p.path(`d/${String(i)}`), 0o100644);
  reading(p.path("d"), (directory) => {
    const first = directory.read()?.name;
    sys.rename(p.path("d"), p.path("e"));
    equal(directory.readAll().length + (first === undefined ? 0 : 1), 302);
  });
});

cases.add("two listings of one directory do not disturb each other", (p) => {
  fill(p, 200);
  reading(p.dir, (one) =>
    reading(p.dir, (two) => {
      const a: string[] = [];
      const b: string[] = [];
      for (let i = 0; i < 202; i++) {
        a.push(one.read()?.name ?? "");
        if (i % 2 === 0) b.push(two.read()?.name ?? "");
      }
      b.push(...two.readAll().map((entry) => entry.name));
      equal(a, b);
    }),
  );
});

cases.add("names that are not UTF-8 and names of 255 bytes are listed as they are", (p) => {
  const odd = Buffer.from([0x61, 0xff, 0x80, 0x0a, 0x20]);
  const long = Buffer.alloc(255, 0xe9);
  for (const name of [odd, long]) {
    const fd = sys.open(Buffer.concat([Buffer.from(p.dir + "/"), name]), O.CREAT | O.WRONLY);
    sys.close(fd);
  }
  equal(namesIn(p.dir), [odd.toString("latin1"), long.toString("latin1")].sort());
});

cases.add("200 names of 255 bytes are all listed", (p) => {
  const wanted = Array.from({ length: 200 }, (_, i) => String(i).padStart(255, "n"));
  for (const name of wanted) sys.mknod(p.path(name), 0o100644);
  equal(namesIn(p.dir), wanted.sort());
});

cases.add("needs read permission, not search permission", (p) => {
  ownedDirectory(p.path("d"), alice.uid, 0o744);
  file(p.path("d/a"));
  sys.as(bob, () => {
    equal(namesIn(p.path("d")), ["a"]);
    fails("EACCES", sys.stat, p.path("d/a"));
  });
  sys.chmod(p.path("d"), 0o711);
  sys.as(bob, () => {
    fails("EACCES", namesIn, p.path("d"));
    equal(sys.stat(p.path("d/a")).size, 0n);
  });
});

cases.add("of a file is ENOTDIR", (p) => {
  file(p.path("a"));
  fails("ENOTDIR", namesIn, p.path("a"));
});

cases.add("moves the directory's atime by the relatime rule", (p) => {
  fill(p, 3);
  sys.utimensat(p.dir, [1n, "omit"]);
  equal(
    moved(p.dir, () => void namesIn(p.dir)),
    "atime",
  );
});

cases.add("a name that is made, removed and made again is listed once", (p) => {
  for (let i = 0; i < 30; i++) {
    file(p.path("a"));
    equal(namesIn(p.dir), ["a"]);
    sys.unlink(p.path("a"));
    equal(namesIn(p.dir), []);
  }
});
