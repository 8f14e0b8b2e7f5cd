import test from "ava";
import { lineOf, statusOf, summaryOf } from "../../src/cli/fsck.ts";

const summary = { inodes: 3, entries: 2, extents: 1, blocks: 1, errors: 0, repaired: 0, notes: 0 };

test("the exit status is fsck(8)'s", (t) => {
  t.is(statusOf(summary), 0);
  t.is(statusOf({ ...summary, notes: 2 }), 0);
  t.is(statusOf({ ...summary, repaired: 1 }), 1);
  t.is(statusOf({ ...summary, repaired: 1, errors: 1 }), 4);
});

test("each finding is one line, with its paths", (t) => {
  t.is(lineOf({ state: "error", paths: ["/a", "/b"], text: "is wrong" }), "/a, /b: is wrong\n");
  t.is(lineOf({ state: "repaired", paths: [], text: "was wrong" }), "repaired: was wrong\n");
  t.is(summaryOf(summary), "clean: 3 inodes, 1 extents, 1 blocks\n");
  t.is(summaryOf({ ...summary, errors: 2 }), "2 errors left, 0 corrected: 3 inodes, 1 extents, 1 blocks\n");
});
