/** The name server as the layers above see it: what ran ahead is sent before whatever is asked, changed or told after it. */
import test from "ava";
import { toIno } from "../../src/base/ids.ts";
import { limits } from "../../src/base/limits.ts";
import { leasedNameServer } from "../../src/cache/leased-name-server.ts";
import { createLeases } from "../../src/cache/leases.ts";
import type { NameServer } from "../../src/remote/types.ts";
import { entryOf, testLog, type TestLog } from "../remote/support/held-answers.ts";
import { turns } from "./mount.ts";

const ino = toIno(3);

/** Everything that is sent, in order: `create NAME` for an entry, else the method and what it is about. */
function wire(): TestLog & { readonly server: NameServer; readonly sent: () => string[] } {
  const parts = testLog();
  const others: { after: number; line: string }[] = [];
  const note = (line: string): Promise<object> => {
    others.push({ after: parts.peer.calls.length, line });
    return Promise.resolve({});
  };
  const bare = {
    ask: (method: string, request: { cookie?: number }) => note(`${method} ${String(request.cookie ?? "")}`.trim()),
    change: (method: string) => note(method),
    tell: (news: readonly { kind: string; number?: number }[]) => {
      void note(`told ${news.map(({ kind, number }) => `${kind} ${String(number)}`).join(", ")}`);
    },
    ahead: parts.log,
  } as unknown as NameServer;
  const server = leasedNameServer(bare, createLeases(parts.clock));
  const sent = (): string[] => {
    const lines: string[] = [];
    parts.peer.calls.forEach(({ request }, at) => {
      lines.push(...others.filter(({ after }) => after === at).map(({ line }) => line));
      for (const entry of request.entries) lines.push("name" in entry.request ? entry.request.name : entry.method);
    });
    lines.push(...others.filter(({ after }) => after === parts.peer.calls.length).map(({ line }) => line));
    return lines;
  };
  return { ...parts, server, sent };
}

/** As many bytes under way as there may be. */
function fill({ log }: TestLog): number {
  const bytes = limits.messageBytesMax / 2 - 1_000;
  let batches = 0;
  for (let under = 0; under < limits.aheadBytesInFlightMax; under += bytes, batches++) {
    log.add(entryOf("large"), bytes);
    void log.send();
  }
  return batches;
}

test("what is asked, changed or told is sent behind what ran ahead before, in the same turn", (t) => {
  const { log, server, sent } = wire();
  log.add(entryOf("a"), 1);
  void server.ask("readdir", { ino, cookie: 1, bytesMax: 1, plus: false });
  log.add(entryOf("b"), 1);
  void server.change("releaseOrphans", { inos: [ino] });
  log.add(entryOf("c"), 1);
  server.tell([{ kind: "acknowledged", ino, number: 7 }]);
  log.add(entryOf("d"), 1);
  t.deepEqual(sent(), ["a", "readdir 1", "b", "releaseOrphans", "c", "told acknowledged 7"]);
});

test("also when too much is under way: then all of it waits, and keeps its order", async (t) => {
  const parts = wire();
  const { log, server, sent, peer } = parts;
  const filled = fill(parts);
  log.add(entryOf("a"), 1);
  void server.ask("readdir", { ino, cookie: 1, bytesMax: 1, plus: false });
  server.tell([{ kind: "flushed", ino, number: 7 }]);
  log.add(entryOf("b"), 1);
  void server.change("releaseOrphans", { inos: [ino] });
  server.tell([{ kind: "acknowledged", ino, number: 7 }]);
  await turns();
  t.is(sent().length, filled);
  peer.at(0).answer();
  await turns();
  t.deepEqual(sent().slice(filled), [...["a", "b", "readdir 1", "told flushed 7, acknowledged 7", "releaseOrphans"]]);
});

test("news never overtakes news that is waiting, in whatever turn it comes", async (t) => {
  for (let turn = 0; turn < 8; turn++) {
    const parts = wire();
    const filled = fill(parts);
    parts.log.add(entryOf("a"), 1);
    parts.server.tell([{ kind: "flushed", ino, number: 1 }]);
    parts.peer.at(0).answer();
    await turns(turn);
    parts.server.tell([{ kind: "acknowledged", ino, number: 2 }]);
    await turns();
    const sent = parts.sent().slice(filled).join(", ").replaceAll("told ", "");
    t.is(sent, "a, flushed 1, acknowledged 2", `turn ${String(turn)}`);
  }
});

test("without a connection what is asked waits for the one on which the batches went out", async (t) => {
  const { log, server, sent, peer } = wire();
  log.add(entryOf("a"), 1);
  log.send()?.catch(() => undefined);
  t.deepEqual(sent(), ["a"]);
  peer.at(0).answer();
  await turns();
  void server.ask("statfs", {});
  t.deepEqual(sent(), ["a", "statfs"]);
});
