import test from "ava";
import { journalLine } from "../../src/cli/journal-line.ts";
import type { StatusReply } from "../../src/protocol/status.ts";

const nodes = [
  { id: "000000000000000a", address: "10.0.0.2:7500" },
  { id: "000000000000000b", address: "10.0.0.3:7500" },
];

function line(copies: Partial<NonNullable<StatusReply["copies"]>>): string[] {
  const none = { epoch: 1, generation: 1, nodes: 2, needed: 1, serving: true, members: [], awaited: [] };
  return journalLine({ replicas: 3, nodes, copies: { ...none, ...copies } } as unknown as StatusReply);
}

test("the journal's copies in words: where they are complete, who copies, for whom changes wait", (t) => {
  const members = [
    { node: "000000000000000a", complete: true, behind: 0 },
    { node: "000000000000000b", complete: false, behind: 120 },
  ];
  t.deepEqual(line({ members, awaited: ["000000000000000a"] }), [
    "journal 2 of 3 copies complete: the name server, 10.0.0.2:7500; 10.0.0.3:7500 is copying, 120 changes behind; " +
      "changes wait for 10.0.0.2:7500; 1 of 2 nodes have to be there",
  ]);
  t.deepEqual(line({ nodes: 0 }), ["journal 1 of 3 copies complete: the name server"]);
});

test("nothing is said of a journal that nobody copies", (t) => {
  t.deepEqual(journalLine({ replicas: 2, nodes: [] } as unknown as StatusReply), []);
});
