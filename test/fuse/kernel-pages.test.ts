import { closeSync, existsSync, fstatSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import type { Ino } from "../../src/base/ids.ts";
import { KernelPages, notedIn, type NoteFiles } from "../../src/fuse/kernel-pages.ts";

const ino = (value: number): Ino => value as Ino;
const numbers = (inos: readonly Ino[]): number[] => inos.map(Number).sort((a, b) => a - b);
const bytes = (files: NoteFiles): number => fstatSync(files[0]).size + fstatSync(files[1]).size;

function withNotes(title: string, run: (t: ExecutionContext, files: NoteFiles) => void): void {
  test(title, (t) => {
    const folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "dfs-notes-"));
    const files = [openSync(join(folder, "a"), "ax+"), openSync(join(folder, "b"), "ax+")] as const;
    try {
      run(t, files);
    } finally {
      for (const fd of files) closeSync(fd);
      rmSync(folder, { recursive: true });
    }
  });
}

withNotes("what was noted is there for the next driver, each inode once", (t, files) => {
  const pages = new KernelPages(files, () => true);
  t.deepEqual(pages.inherited, []);
  for (const value of [1, 7, 2 ** 53 - 1, 7, 1]) pages.add(ino(value));
  t.is(bytes(files), 24);
  const next = new KernelPages(files, () => true);
  t.deepEqual(numbers(next.inherited), [1, 7, 2 ** 53 - 1]);
});

withNotes("a note whose writer was killed in the middle of it does not count", (t, files) => {
  new KernelPages(files, () => true).add(ino(5));
  writeSync(files[0], Buffer.from([1, 2, 3]));
  t.deepEqual(numbers(notedIn(files)), [5]);
});

withNotes("what was inherited stays noted until it has been dropped, also through a rewriting", (t, files) => {
  const first = new KernelPages(files, () => true);
  for (let i = 1; i <= 10; i++) first.add(ino(i));
  const second = new KernelPages(files, () => false);
  // More than are rewritten at; all of them forgotten by the kernel already.
  for (let i = 1_000; i < 1_000 + 65_536; i++) second.add(ino(i));
  t.deepEqual(numbers(notedIn(files)), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  second.add(ino(20));
  second.dropped();
  t.deepEqual(second.inherited, []);
  t.deepEqual(numbers(notedIn(files)), []);
});

withNotes("the notes are bounded by twice the inodes that the kernel may have", (t, files) => {
  const living = 40_000;
  const total = 250_000;
  let newest = 0;
  const pages = new KernelPages(files, (known) => known > newest - living);
  let most = 0;
  for (newest = 1; newest <= total; newest++) {
    pages.add(ino(newest));
    if (newest % 1_000 === 0) most = Math.max(most, bytes(files));
  }
  t.true(most <= 8 * (2 * living + 1_000), String(most));
  const noted = new Set(numbers(notedIn(files)));
  for (let i = total - living + 2; i <= total; i++) if (!noted.has(i)) t.fail(`${String(i)} is not noted`);
  t.pass();
});

withNotes("killed at any step of a rewriting, nothing is missing", (t, files) => {
  const first = new KernelPages(files, () => true);
  for (let i = 1; i <= 5; i++) first.add(ino(i));
  // The fresh file is written, the old one not yet empty: as between the two steps.
  for (const i of [1, 2, 3]) {
    const note = Buffer.alloc(8);
    note.writeBigUInt64LE(BigInt(i));
    writeSync(files[1], note);
  }
  t.deepEqual(numbers(notedIn(files)), [1, 2, 3, 4, 5]);
});

test("notes can not be made when nobody can write them: the open fails instead", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "dfs-notes-"));
  const path = join(folder, "read-only");
  closeSync(openSync(path, "w"));
  const fd = openSync(path, "r");
  try {
    const pages = new KernelPages([fd, fd], () => true);
    t.throws(() => pages.add(ino(1)), { code: "EBADF" });
    t.throws(() => pages.add(ino(1)), { code: "EBADF" }, "it is not taken for noted");
    t.is(readFileSync(path).length, 0);
  } finally {
    closeSync(fd);
    rmSync(folder, { recursive: true });
  }
});
