/** Histories of which a person knows the verdict. */
import test from "ava";
import { append, begun, create, during, link, list, lookup, read, readLog, rename, unlink, write } from "./by-hand.ts";
import { checkHistory } from "./check-history.ts";
import type { Operation } from "./history.ts";

const good: Record<string, Operation[]> = {
  "nothing happened": [],
  "one after the other": [
    during(1, 0, 1, read("initial")),
    during(1, 2, 3, write("a")),
    during(2, 4, 5, read("a")),
    during(2, 6, 7, write("b")),
    during(1, 8, 9, read("b")),
  ],
  "a read during a write sees the old value or the new one": [
    during(1, 0, 10, write("a")),
    during(2, 1, 2, read("initial")),
    during(3, 3, 4, read("a")),
    during(2, 5, 6, read("a")),
  ],
  "the write that returned first happened last": [
    during(1, 0, 10, write("a")),
    during(2, 1, 5, write("b")),
    during(3, 11, 12, read("b")),
  ],
  "a return at the moment of an invocation is no order": [
    during(1, 0, 5, write("a")),
    during(2, 5, 6, read("initial")),
  ],
  "a write that never returned is seen late": [
    begun(1, 0, write("a")),
    during(2, 1, 2, write("b")),
    during(3, 3, 4, read("b")),
    during(3, 5, 6, read("a")),
  ],
  "a write that never returned did not happen": [begun(1, 0, write("a")), during(3, 3, 4, read("initial"))],
  "appends at once come in either order": [
    during(1, 0, 10, append("a")),
    during(2, 0, 10, append("b")),
    during(3, 5, 6, readLog("")),
    during(3, 11, 12, readLog("b a")),
  ],
  "an append that never returned is in the log": [
    begun(1, 0, append("a")),
    during(2, 1, 2, append("b")),
    during(2, 3, 4, readLog("b")),
    during(2, 5, 6, readLog("b a")),
  ],
  "of two that create a name one wins, and its end lets the other": [
    during(1, 0, 10, create("x", 7)),
    during(2, 0, 10, create("x", "EEXIST")),
    during(2, 11, 12, unlink("x")),
    during(1, 11, 20, unlink("x", "ENOENT")),
    during(2, 21, 22, create("x", 8)),
    during(1, 23, 24, lookup("x", 8)),
  ],
  "a name moves over another one": [
    during(1, 0, 1, create("x", 7)),
    during(1, 2, 3, create("y", 8)),
    during(1, 4, 10, rename("x", "y")),
    during(2, 5, 6, lookup("x", 7)),
    during(3, 7, 8, lookup("y", 7)),
    during(2, 9, 9, lookup("x", "ENOENT")),
  ],
  "a rename between two names of one inode does nothing": [
    during(1, 0, 1, link(5, "x")),
    during(1, 2, 3, link(5, "y")),
    during(1, 4, 5, rename("x", "y")),
    during(1, 6, 7, lookup("x", 5)),
  ],
  "a create that never returned made what others see": [
    begun(1, 0, create("x", 0)),
    during(2, 1, 2, lookup("x", "ENOENT")),
    during(2, 3, 4, lookup("x", 9)),
    during(2, 5, 6, rename("x", "y")),
    during(2, 7, 8, lookup("y", 9)),
  ],
  "a listing shows what comes and goes or not": [
    during(1, 0, 1, create("stays", 1)),
    during(1, 2, 3, create("goes", 2)),
    during(2, 4, 20, list("goes stays")),
    during(3, 4, 20, list("comes stays")),
    during(1, 5, 6, unlink("goes")),
    during(1, 7, 8, create("comes", 3)),
  ],
};

/** With the operations that a person needs to see it, and others that must not be in the report. */
const bad: Record<string, { history: Operation[]; needed: string[]; needless?: string[]; object?: string }> = {
  "a stale read": {
    history: [
      during(1, 0, 1, write("a")),
      during(2, 2, 3, read("a")),
      during(1, 4, 5, write("b")),
      during(2, 6, 7, read("a")),
      during(1, 8, 9, write("c")),
    ],
    needed: ["write a: done", "write b: done", "read: a  <-- cannot be", "it held b"],
    needless: ["write c"],
  },
  "a read of a value that nobody wrote": {
    history: [during(1, 0, 1, write("a")), during(2, 2, 3, read("torn"))],
    needed: ["read: torn  <-- cannot be"],
    needless: ["write a"],
  },
  "a read of what is written later": {
    history: [during(2, 0, 1, read("a")), during(1, 2, 3, write("a"))],
    needed: ["read: a  <-- cannot be", "it held initial"],
  },
  "a value that comes back": {
    history: [
      during(1, 0, 20, write("a")),
      during(2, 0, 20, write("b")),
      during(3, 1, 2, read("a")),
      during(3, 3, 4, read("b")),
      during(3, 5, 6, read("a")),
    ],
    needed: ["write a", "write b", "read: b", "read: a  <-- cannot be"],
  },
  "two that see two writes in different orders": {
    history: [
      during(1, 0, 20, write("a")),
      during(2, 0, 20, write("b")),
      during(3, 1, 2, read("a")),
      during(4, 3, 4, read("b")),
      during(3, 21, 22, read("a")),
    ],
    needed: ["read: b", "read: a  <-- cannot be"],
  },
  "a write that never returned is undone": {
    history: [begun(1, 0, write("a")), during(2, 1, 2, read("a")), during(2, 3, 4, read("initial"))],
    needed: ["write a: not known", "read: a", "read: initial  <-- cannot be"],
  },
  "a lost append": {
    history: [
      during(1, 0, 1, append("z")),
      during(1, 2, 6, append("a")),
      during(2, 2, 6, append("b")),
      during(3, 7, 8, readLog("z a")),
    ],
    needed: ["append b: done", "read the log: nothing"],
    needless: ["append z", "append a"],
  },
  "an append twice in the log": {
    history: [during(1, 0, 1, append("a")), during(2, 2, 3, readLog("a a"))],
    needed: ["append a", "read the log: a a"],
  },
  "a part of a record": {
    history: [during(1, 0, 9, append("a")), during(2, 2, 3, readLog("torn"))],
    needed: ["read the log: torn"],
    needless: ["append a"],
  },
  "a log of which the order changes": {
    history: [
      during(1, 0, 20, append("a")),
      during(2, 0, 20, append("b")),
      during(3, 1, 2, readLog("a")),
      during(3, 3, 4, readLog("b a")),
    ],
    needed: ["read the log: a", "read the log: b a"],
  },
  "a log that becomes shorter": {
    history: [during(1, 0, 1, append("a")), during(2, 2, 3, readLog("a")), during(2, 4, 5, readLog(""))],
    needed: ["append a", "read the log: nothing"],
  },
  "two winners of O_EXCL": {
    history: [during(1, 0, 10, create("x", 7)), during(2, 5, 15, create("x", 8))],
    needed: ["create x: inode 7", "create x: inode 8"],
  },
  "no winner of O_EXCL": {
    history: [
      during(1, 0, 10, create("x", "EEXIST")),
      during(2, 5, 15, create("x", "EEXIST")),
      during(3, 20, 21, lookup("x", "ENOENT")),
    ],
    needed: ["create x: EEXIST  <-- cannot be", "there were no names"],
    needless: ["lookup"],
  },
  "two winners of a rename": {
    history: [
      during(1, 0, 1, create("x", 7)),
      during(1, 2, 9, rename("x", "y")),
      during(2, 2, 9, rename("x", "z")),
      during(2, 10, 11, lookup("z", 7)),
    ],
    needed: ["rename x y: done", "rename x z: done"],
    needless: ["lookup"],
  },
  "a renamed file is visible under both names": {
    history: [
      during(1, 0, 1, create("x", 7)),
      during(1, 2, 20, rename("x", "y")),
      during(2, 3, 4, lookup("y", 7)),
      during(2, 5, 6, lookup("x", 7)),
    ],
    needed: ["create x", "rename x y: done", "lookup y: inode 7", "lookup x: inode 7  <-- cannot be"],
  },
  "a renamed file is visible under neither name": {
    history: [
      during(1, 0, 1, create("x", 7)),
      during(1, 2, 20, rename("x", "y")),
      during(2, 3, 4, lookup("x", "ENOENT")),
      during(2, 5, 6, lookup("y", "ENOENT")),
    ],
    needed: ["rename x y", "lookup x: ENOENT", "lookup y: ENOENT  <-- cannot be"],
  },
  "a gap while a name is replaced": {
    history: [
      during(1, 0, 1, create("x", 7)),
      during(1, 2, 3, create("y", 8)),
      during(1, 4, 10, rename("x", "y")),
      during(2, 5, 6, lookup("y", "ENOENT")),
    ],
    needed: ["create y", "lookup y: ENOENT"],
  },
  "a name that stays after unlink": {
    history: [
      during(1, 0, 1, link(5, "x")),
      during(1, 2, 3, unlink("x")),
      during(2, 4, 5, lookup("x", 5)),
      during(2, 4, 5, lookup("other", "ENOENT")),
    ],
    needed: ["link 5 x", "unlink x", "lookup x: inode 5  <-- cannot be"],
    needless: ["other"],
  },
  "two unlinks of one name": {
    history: [during(1, 0, 1, create("x", 7)), during(1, 2, 9, unlink("x")), during(2, 2, 9, unlink("x"))],
    needed: ["create x", "unlink x: done  <-- cannot be"],
  },
  "a listing without what is there all the time": {
    history: [during(1, 0, 1, create("x", 7)), during(2, 2, 9, list("y")), during(1, 3, 4, create("y", 8))],
    needed: ["create x", "list, of which x: not there  <-- cannot be"],
    needless: ["create y"],
  },
  "a listing with a name twice": {
    history: [during(1, 0, 1, create("x", 7)), during(2, 2, 9, list("x x"))],
    needed: ["list, of which x: there 2 times  <-- cannot be"],
  },
  "a listing with what was removed before": {
    history: [during(1, 0, 1, create("x", 7)), during(1, 2, 3, unlink("x")), during(2, 4, 9, list("x"))],
    needed: ["unlink x", "list, of which x: there  <-- cannot be"],
  },
};

for (const [title, history] of Object.entries(good)) {
  test(`accepted: ${title}`, (t) => {
    const verdicts = checkHistory(history);
    t.true(
      verdicts.every(({ type }) => type === "linearizable"),
      verdicts.map(({ report }) => report).join("\n"),
    );
  });
}

for (const [title, { history, needed, needless = [] }] of Object.entries(bad)) {
  test(`refused and explained: ${title}`, (t) => {
    const refused = checkHistory(history).filter(({ type }) => type === "refused");
    t.is(refused.length, 1);
    const report = refused[0]?.report ?? "";
    for (const part of needed) t.true(report.includes(part), `without "${part}":\n${report}`);
    for (const part of needless) t.false(report.includes(part), `with "${part}":\n${report}`);
  });
}

test("a report is what a person reads", (t) => {
  const [verdict] = checkHistory([
    during(1, 1_000_000, 2_000_000, write("a")),
    during(2, 2_500_000, 4_000_000, write("b")),
    during(3, 3_000_000, 3_500_000, read("a")),
    during(3, 4_500_000, 5_250_000, read("a")),
  ]);
  t.is(
    verdict?.report,
    [
      "register: No order of these operations explains all results (milliseconds from the first one's beginning):",
      "      0.000 ..     1.000  process 1  write a: done",
      "      1.500 ..     3.000  process 2  write b: done",
      "      3.500 ..     4.250  process 3  read: a  <-- cannot be",
      "Before what was in flight when the marked one returned: it held b.",
    ].join("\n"),
  );
});

test("a search that would take too long says so", (t) => {
  const history = Array.from({ length: 12 }, (_, i) => during(i, 0, 10, write(`value ${String(i)}`)));
  t.is(checkHistory([...history, during(99, 11, 12, read("none"))], 10_000)[0]?.type, "too hard");
});
