/** The checker of what a crash leaves, on histories and folders of which a person knows the verdict. */
import test, { type ExecutionContext } from "ava";
import { check } from "./ahead/check.ts";
import { digestOf } from "./ahead/contents.ts";
import { filling } from "./ahead/filling.ts";
import type { FoundEntry } from "./ahead/found.ts";
import type { Action, Operation } from "./ahead/history.ts";

const seed = 1;
const fill = (index: number, length: number): Buffer => filling(seed, index, length);

type Step = Action | { readonly action: Action; readonly result: Operation["result"] };

function history(...steps: Step[]): Operation[] {
  return steps.map((step, index) => {
    if ("action" in step) return { index, ...step };
    return { index, action: step, result: { type: "done", count: step.type === "write" ? step.length : 0 } };
  });
}

const create = (path: string, handle = 0): Action => ({ type: "create", path, mode: 0o644, handle });
const write = (offset: number | null, length: number, handle = 0): Action => ({
  type: "write",
  handle,
  offset,
  length,
});
const close = (handle = 0): Action => ({ type: "close", handle });
const fsync = (handle = 0): Action => ({ type: "fsync", handle });
const mkdir = (path: string): Action => ({ type: "mkdir", path, mode: 0o755 });
const utimes = (path: string, seconds: number): Action => ({ type: "utimes", path, seconds });
const cut = (path: string, handle = 1): Action => ({ type: "open", path, handle, cut: true, append: false });
const unknown = (action: Action): Step => ({ action, result: { type: "unknown" } });
const refused = (action: Action, errno: string): Step => ({ action, result: { type: "refused", errno } });

const root: FoundEntry = { path: ".", type: "directory", ino: 1, mode: 0o755, nlink: 2, mtime: "5" };

function file(path: string, content: Buffer, more: Partial<FoundEntry> = {}): FoundEntry {
  const ino = 100 + path.charCodeAt(0);
  return { path, type: "file", ino, mode: 0o644, nlink: 1, mtime: "5", digest: digestOf(content), ...more };
}
function folder(path: string, more: Partial<FoundEntry> = {}): FoundEntry {
  return { path, type: "directory", ino: 100 + path.charCodeAt(0), mode: 0o755, nlink: 2, mtime: "5", ...more };
}

const nothing = Buffer.alloc(0);

interface Case {
  readonly did: readonly Operation[];
  readonly found: readonly FoundEntry[];
  readonly complete?: boolean;
}

function verdictOf({ did, found, complete = false }: Case): ReturnType<typeof check> {
  return check(did, { entries: found, unreadable: [] }, { fill, complete });
}

const right = test.macro((t: ExecutionContext, given: Case) => {
  t.like(verdictOf(given), { type: "consistent" });
});
const wrong = test.macro((t: ExecutionContext, given: Case, reason: RegExp) => {
  const verdict = verdictOf(given);
  t.is(verdict.type, "broken");
  if (verdict.type === "broken") t.regex(verdict.reason, reason);
});

const written = history(create("a"), write(0, 10), write(10, 10), close());

test("nothing of what was not fsynced may be there", right, { did: written, found: [root] });
test("all of it may be there", right, {
  did: written,
  found: [root, file("a", Buffer.concat([fill(1, 10), fill(2, 10)]))],
});
test("a file may be there without its writes", right, { did: written, found: [root, file("a", nothing)] });
test("a file may be there with its first writes", right, { did: written, found: [root, file("a", fill(1, 10))] });
test(
  "a write without the one before it is wrong",
  wrong,
  {
    did: written,
    found: [root, file("a", Buffer.concat([Buffer.alloc(10), fill(2, 10)]))],
  },
  /a: it never had this content/,
);
test("a part of a write is wrong", wrong, { did: written, found: [root, file("a", fill(1, 5))] }, /never had/);
test(
  "a client that lives on has lost nothing",
  wrong,
  {
    did: written,
    found: [root, file("a", fill(1, 10))],
    complete: true,
  },
  /a: it has the content of operation 1/,
);
test(
  "an appended record that is there twice is wrong",
  wrong,
  {
    did: history(create("a"), write(null, 10)),
    found: [root, file("a", Buffer.concat([fill(1, 10), fill(1, 10)]))],
  },
  /never had/,
);

const synced = history(create("a"), write(0, 10), fsync(), write(0, 10), close());

test("newer content than what was fsynced may be there", right, { did: synced, found: [root, file("a", fill(3, 10))] });
test("what was fsynced is there", wrong, { did: synced, found: [root, file("a", nothing)] }, /fsynced with that of 1/);
test("a file that was fsynced is there", wrong, { did: synced, found: [root] }, /a is missing/);
test("an fsync that did not return promises nothing", right, {
  did: history(create("a"), write(0, 10), unknown(fsync())),
  found: [root],
});

const [d, e] = [mkdir("d"), mkdir("e")];
const two = [root, folder("d"), folder("e")].map((entry) => (entry.path === "." ? { ...entry, nlink: 4 } : entry));

test("a beginning of the changes may be there", right, {
  did: history(d, e),
  found: [{ ...root, nlink: 3 }, folder("d")],
});
test(
  "a change without the one before it is wrong",
  wrong,
  {
    did: history(d, e),
    found: [{ ...root, nlink: 3 }, folder("e")],
  },
  /should not be there|is missing/,
);
test(
  "an fsync of any file makes all names before it durable",
  wrong,
  {
    did: history(create("a"), d, fsync(), e),
    found: [root, file("a", nothing)],
  },
  /d is missing/,
);
test(
  "an fsync of a directory makes all names before it durable",
  wrong,
  {
    did: history(d, e, { type: "fsyncdir", path: "d" }),
    found: [{ ...root, nlink: 3 }, folder("d")],
  },
  /e is missing/,
);
test("the change that was on its way may be there", right, { did: history(d, unknown(e)), found: two });
test("the change that was on its way may be missing", right, {
  did: history(d, unknown(e)),
  found: [{ ...root, nlink: 3 }, folder("d")],
});
for (const action of [d, { type: "unlink", path: "d.absent" }] as const) {
  test(`what had to be refused, and was on its way, changes nothing: ${action.type}`, right, {
    did: history(d, unknown(action)),
    found: [{ ...root, nlink: 3 }, folder("d")],
  });
}
test("a wrong link count is wrong", wrong, { did: history(d, e), found: [root, folder("d"), folder("e")] }, /nlink/);
test("what was never made is wrong", wrong, { did: history(d), found: two }, /e should not be there/);

test(
  "content that was written after a missing change is wrong",
  wrong,
  {
    did: history(create("a"), d, write(0, 10)),
    found: [root, file("a", fill(2, 10))],
  },
  /content of operation 2|d is missing/,
);
test("content of one file may be older than that of another", right, {
  did: history(create("a"), create("b", 1), write(0, 10), write(0, 10, 1)),
  found: [root, file("a", nothing), file("b", fill(3, 10))],
});

const replaced = history(create("a"), write(0, 5), fsync(), create("b", 1), write(0, 9, 1), close(1), {
  type: "rename",
  from: "b",
  to: "a",
});

test("a file that replaced another one is complete", right, { did: replaced, found: [root, file("a", fill(4, 9))] });
test("before it was replaced the old one is there", right, {
  did: replaced,
  found: [root, file("a", fill(1, 5)), file("b", nothing)],
});
test(
  "a file that replaced another one is not empty",
  wrong,
  {
    did: replaced,
    found: [root, file("a", nothing)],
  },
  /renamed over another one/,
);
test(
  "half a rename is wrong",
  wrong,
  {
    did: replaced,
    found: [root, file("a", fill(4, 9)), file("b", fill(4, 9))],
  },
  /b should not be there/,
);

const rewritten = history(create("a"), write(0, 5), fsync(), close(), cut("a"), write(0, 7, 1), close(1));

test(
  "a file that was cut and rewritten is complete once it is closed",
  wrong,
  {
    did: rewritten,
    found: [root, file("a", nothing)],
  },
  /closed after it was cut/,
);
test("a file that was cut may be empty until it is closed", right, {
  did: rewritten.slice(0, 6),
  found: [root, file("a", nothing)],
});

const timed = history(create("a"), write(0, 10), utimes("a", 77));

test("a time that was set outlives older content that comes later", right, {
  did: timed,
  found: [root, file("a", fill(1, 10), { mtime: "77000000000" })],
});
test(
  "a time that older content has overwritten is wrong",
  wrong,
  {
    did: history(create("a"), write(0, 10), utimes("a", 77), fsync()),
    found: [root, file("a", fill(1, 10), { mtime: "5" })],
  },
  /mtime/,
);
test("newer content sets a newer time", right, {
  did: history(create("a"), utimes("a", 77), write(0, 10)),
  found: [root, file("a", fill(2, 10))],
});
test("an empty file that is cut again has the time of that", right, {
  did: history(create("a"), close(), utimes("a", 77), cut("a")),
  found: [root, file("a", nothing)],
});
test(
  "a directory's time that was set is there",
  wrong,
  {
    did: history(d, utimes("d", 77), { type: "fsyncdir", path: "d" }),
    found: [{ ...root, nlink: 3 }, folder("d")],
  },
  /mtime/,
);
test(
  "a mode that was not set yet, under a name that came later, is wrong",
  wrong,
  {
    did: history(create("a"), { type: "chmod", path: "a", mode: 0o600 }, { type: "rename", from: "a", to: "b" }),
    found: [root, file("b", nothing)],
  },
  /mode/,
);

const linked = history(create("a"), { type: "link", from: "a", to: "b" });

test("names of one file are one inode", right, {
  did: linked,
  found: [root, file("a", nothing, { nlink: 2 }), file("b", nothing, { nlink: 2, ino: 197 })],
});
test(
  "names of one file that are two inodes are wrong",
  wrong,
  {
    did: linked,
    found: [root, file("a", nothing, { nlink: 2 }), file("b", nothing, { nlink: 2 })],
  },
  /another inode/,
);

test(
  "an operation that was done twice is seen by its answer",
  wrong,
  {
    did: history(create("a"), refused({ type: "unlink", path: "a" }, "ENOENT")),
    found: [root],
  },
  /answered wrongly: 1 unlink/,
);
test("an operation that had to be refused changes nothing", right, {
  did: history(d, refused(mkdir("d"), "EEXIST")),
  found: [{ ...root, nlink: 3 }, folder("d")],
});
test("what cannot be read is wrong", (t) => {
  const verdict = check(written, { entries: [root], unreadable: ["a: EIO"] }, { fill, complete: false });
  t.like(verdict, { type: "broken", reason: "cannot be read: a: EIO" });
});
