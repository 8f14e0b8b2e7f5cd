/** Mapped files, shared and private. */
import { equal, fails, holds, suite } from "../case.ts";
import { O } from "../libc/constants.ts";
import { Mapping } from "../libc/mapping.ts";
import { sys } from "../libc/sys.ts";
import { contentOf, file, opened } from "../steps.ts";

const cases = suite("mmap");
export const mmapCases = cases.all;

function mapped<T>(
  fd: number,
  length: number,
  options: { shared: boolean; writable: boolean; offset?: number },
  run: (bytes: Buffer, mapping: Mapping) => T,
): T {
  const mapping = new Mapping(fd, length, options);
  try {
    return run(mapping.bytes, mapping);
  } finally {
    mapping.unmap();
  }
}

const sharedWritable = { shared: true, writable: true };
const sharedReadable = { shared: true, writable: false };
const privateWritable = { shared: false, writable: true };

for (const bytes of [1, 4096, 5000, 1_000_000]) {
  for (const [name, options] of [
    ["shared", sharedReadable],
    ["private", privateWritable],
  ] as const) {
    cases.add(`${name} shows the ${String(bytes)} bytes of the file and zeros up to the page's end`, (p) => {
      const content = Buffer.alloc(bytes, "0123456789abcdef!");
      file(p.path("a"), content);
      opened(p.path("a"), O.RDONLY, (fd) =>
        mapped(fd, Math.ceil(bytes / 4096) * 4096, options, (seen) => {
          holds(seen.subarray(0, bytes).equals(content), "content");
          holds(
            seen.subarray(bytes).every((byte) => byte === 0),
            "zeros",
          );
        }),
      );
    });
  }
}

cases.add("shared stores are read by read after msync", (p) => {
  file(p.path("a"), ".".repeat(10_000));
  opened(p.path("a"), O.RDWR, (fd) =>
    mapped(fd, 10_000, sharedWritable, (bytes, mapping) => {
      bytes.write("stored", 5000);
      mapping.sync();
      equal(sys.pread(fd, 8, 4999).toString(), ".stored.");
    }),
  );
  equal(contentOf(p.path("a")).slice(4999, 5007), ".stored.");
});

cases.add("shared stores are read by read without msync", (p) => {
  file(p.path("a"), ".".repeat(10_000));
  opened(p.path("a"), O.RDWR, (fd) =>
    mapped(fd, 10_000, sharedWritable, (bytes) => {
      bytes.write("stored", 5000);
      equal(sys.pread(fd, 6, 5000).toString(), "stored");
    }),
  );
});

cases.add("shared stores survive munmap and close", (p) => {
  file(p.path("a"), ".".repeat(10_000));
  opened(p.path("a"), O.RDWR, (fd) => mapped(fd, 10_000, sharedWritable, (bytes) => bytes.write("stored", 0)));
  equal(contentOf(p.path("a")).slice(0, 7), "stored.");
  const theirs = p.peer.call("open", p.path("a"), O.RDONLY);
  equal(p.peer.call("pread", theirs, 7, 0).toString(), "stored.");
  p.peer.call("close", theirs);
});

cases.add("stores outlive the descriptor", (p) => {
  file(p.path("a"), ".".repeat(4096));
  const fd = sys.open(p.path("a"), O.RDWR);
  const mapping = new Mapping(fd, 4096, sharedWritable);
  sys.close(fd);
  mapping.bytes.write("late", 10);
  mapping.sync();
  mapping.unmap();
  equal(contentOf(p.path("a")).slice(10, 14), "late");
});

cases.add("private stores never reach the file", (p) => {
  file(p.path("a"), ".".repeat(10_000));
  opened(p.path("a"), O.RDWR, (fd) =>
    mapped(fd, 10_000, privateWritable, (bytes) => {
      bytes.write("private", 0);
      equal(sys.pread(fd, 7, 0).toString(), ".......");
    }),
  );
  equal(contentOf(p.path("a")).slice(0, 7), ".......");
});

cases.add("writes are seen through a shared mapping at once", (p) => {
  file(p.path("a"), ".".repeat(10_000));
  opened(p.path("a"), O.RDWR, (fd) =>
    mapped(fd, 10_000, sharedReadable, (bytes) => {
      for (let i = 0; i < 20; i++) {
        sys.pwrite(fd, `write ${String(i)}`, 4090);
        equal(bytes.toString("latin1", 4090, 4090 + 6 + String(i).length), `write ${String(i)}`);
      }
    }),
  );
});

cases.add("another process' writes are seen through a shared mapping", (p) => {
  file(p.path("a"), ".".repeat(4096));
  const theirs = p.peer.call("open", p.path("a"), O.RDWR);
  opened(p.path("a"), O.RDONLY, (fd) =>
    mapped(fd, 4096, sharedReadable, (bytes) => {
      equal(bytes[0], 0x2e);
      p.peer.call("pwrite", theirs, "theirs", 0);
      equal(bytes.toString("latin1", 0, 6), "theirs");
    }),
  );
  p.peer.call("close", theirs);
});

cases.add("two shared mappings of one file are the same memory", (p) => {
  file(p.path("a"), ".".repeat(8192));
  opened(p.path("a"), O.RDWR, (fd) =>
    mapped(fd, 8192, sharedWritable, (one) =>
      mapped(fd, 4096, { shared: true, writable: true, offset: 4096 }, (two) => {
        one.write("one", 5000);
        equal(two.toString("latin1", 904, 907), "one");
        two.write("two", 0);
        equal(one.toString("latin1", 4096, 4099), "two");
      }),
    ),
  );
});

cases.add("an offset within the file shows that part", (p) => {
  file(p.path("a"), "a".repeat(4096) + "b".repeat(4096));
  opened(p.path("a"), O.RDONLY, (fd) =>
    mapped(fd, 4096, { shared: true, writable: false, offset: 4096 }, (bytes) => equal(bytes[0], 0x62)),
  );
});

cases.add("an offset that is no multiple of the page is EINVAL", (p) => {
  file(p.path("a"), "x".repeat(8192));
  opened(p.path("a"), O.RDONLY, (fd) =>
    fails("EINVAL", () => new Mapping(fd, 4096, { shared: true, writable: false, offset: 100 })),
  );
});

cases.add("shared and writable of a descriptor opened to read is EACCES", (p) => {
  file(p.path("a"), "x".repeat(4096));
  opened(p.path("a"), O.RDONLY, (fd) => fails("EACCES", () => new Mapping(fd, 4096, sharedWritable)));
});

cases.add("private and writable of a descriptor opened to read works", (p) => {
  file(p.path("a"), "x".repeat(4096));
  opened(p.path("a"), O.RDONLY, (fd) => mapped(fd, 4096, privateWritable, (bytes) => bytes.write("y")));
});

cases.add("of a descriptor opened to write is EACCES", (p) => {
  file(p.path("a"), "x".repeat(4096));
  opened(p.path("a"), O.WRONLY, (fd) => fails("EACCES", () => new Mapping(fd, 4096, sharedReadable)));
});

cases.add("of a directory is ENODEV or EACCES", (p) => {
  opened(p.dir, O.RDONLY, (fd) => fails(["ENODEV", "EACCES"], () => new Mapping(fd, 4096, sharedReadable)));
});

cases.add("shows what ftruncate added as zeros, and keeps stores there", (p) => {
  file(p.path("a"), "abc");
  opened(p.path("a"), O.RDWR, (fd) => {
    sys.ftruncate(fd, 8192);
    mapped(fd, 8192, sharedWritable, (bytes, mapping) => {
      equal(bytes[8000], 0);
      bytes.write("grown", 8000);
      mapping.sync();
    });
  });
  equal(contentOf(p.path("a")).slice(8000, 8005), "grown");
  equal(sys.stat(p.path("a")).size, 8192n);
});

cases.add("stores past the end in the last page are never in the file", (p) => {
  file(p.path("a"), "abc");
  opened(p.path("a"), O.RDWR, (fd) => {
    mapped(fd, 4096, sharedWritable, (bytes, mapping) => {
      bytes.write("beyond", 10);
      mapping.sync();
    });
    equal(sys.fstat(fd).size, 3n);
    sys.ftruncate(fd, 100);
    equal(sys.pread(fd, 100, 0).toString(), "abc" + "\0".repeat(97));
  });
});

cases.add("truncation zeroes the rest of the page in a mapping", (p) => {
  file(p.path("a"), "x".repeat(4096));
  opened(p.path("a"), O.RDWR, (fd) =>
    mapped(fd, 4096, sharedWritable, (bytes) => {
      equal(bytes[100], 0x78);
      sys.ftruncate(fd, 10);
      equal([bytes[9], bytes[10], bytes[100]], [0x78, 0, 0]);
    }),
  );
});

cases.add("of an unlinked file goes on working", (p) => {
  file(p.path("a"), ".".repeat(4096));
  opened(p.path("a"), O.RDWR, (fd) =>
    mapped(fd, 4096, sharedWritable, (bytes, mapping) => {
      sys.unlink(p.path("a"));
      bytes.write("still", 0);
      mapping.sync();
      equal(sys.pread(fd, 5, 0).toString(), "still");
    }),
  );
});

cases.add("msync moves mtime after a store", (p) => {
  file(p.path("a"), ".".repeat(4096));
  sys.utimensat(p.path("a"), [1n, 2n]);
  opened(p.path("a"), O.RDWR, (fd) =>
    mapped(fd, 4096, sharedWritable, (bytes, mapping) => {
      bytes.write("x");
      mapping.sync();
    }),
  );
  holds(sys.stat(p.path("a")).mtime > 10n ** 18n, "mtime");
});
