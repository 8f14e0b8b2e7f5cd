/**
 * Several clients that keep what they may, in random order, over the real handlers, with broken connections and restarts
 * of the server: nobody ever keeps what is not so.
 */
import { strict as assert } from "node:assert";
import test from "ava";
import type { Ino } from "../../src/base/ids.ts";
import { nameFromText } from "../../src/base/name.ts";
import { seededRandom, type Random } from "../../src/base/random.ts";
import { keys } from "../../src/metadata-store/keys.ts";
import { decodeEntry } from "../../src/metadata-store/records.ts";
import { settle } from "../support/simulated-clock.ts";
import { checkAlone, History, ModelClient } from "./lease-model.ts";
import { root, rootIno, TestClient, TestCluster } from "./support.ts";

const names = ["a", "b", "c"].map(nameFromText);
const rounds = Number(process.env["DFS_INTERLEAVINGS"] ?? 1_000);
const roundsPerCluster = 50;
const stepsPerRound = 12;

const pick = <T>(random: Random, list: readonly T[]): T => list[random.below(list.length)] as T;

function inoOf(cluster: TestCluster, random: Random): Ino | undefined {
  const value = cluster.store.get(keys.entry(rootIno, pick(random, names)));
  return value === undefined ? undefined : decodeEntry(value).ino;
}

/** One thing that one client does. */
function step(cluster: TestCluster, random: Random, model: ModelClient): void {
  const { client } = model;
  const name = pick(random, names);
  const ino = inoOf(cluster, random);
  const common = { caller: root, parent: rootIno };
  const creating = { ...common, umask: 0o022, mode: 0o100644 };
  const onFile: readonly ((ino: Ino) => void)[] = [
    (ino) => {
      model.ask(() => client.call("getattr", { ino }));
    },
    (ino) => {
      model.ask(() => client.call("acquire", { ino, level: pick(random, ["shared", "exclusive"] as const) }));
    },
    (ino) => {
      model.flush(ino);
      const mode = 0o600 + random.below(64);
      model.change({ ino }, (slot) => client.change("setattr", { caller: root, ino, mode }, slot));
    },
    (ino) => {
      model.writeLocally(ino, BigInt(1 + random.below(1_000_000)));
    },
    (ino) => {
      model.writeLocally(ino, BigInt(1 + random.below(1_000_000)));
    },
    (ino) => {
      model.flush(ino);
    },
    (ino) => {
      model.lower(ino);
    },
    (ino) => {
      model.forget(ino);
    },
  ];
  const onNames: readonly (() => void)[] = [
    () => {
      model.ask(() => client.call("lookup", { parent: rootIno, name }), name);
    },
    () => {
      model.change({ names: [name] }, (slot) => client.change("create", { ...creating, name }, slot));
    },
    () => {
      model.change({ names: [name] }, (slot) => client.change("unlink", { ...common, name, keep: true }, slot));
    },
    () => {
      const newName = pick(random, names);
      const request = { ...common, name, newParent: rootIno, newName, flags: 0, keep: true };
      model.change({ names: [name, newName] }, (slot) => client.change("rename", request, slot));
    },
    () => {
      client.tell({ kind: "blocked" });
    },
    () => {
      model.lower(rootIno);
    },
  ];
  const kind = random.below(10);
  if (kind < 4) model.answerOne();
  else if (kind < 7 && ino !== undefined) pick(random, onFile)(ino);
  else pick(random, onNames)();
}

async function drain(models: readonly ModelClient[], check: () => void): Promise<void> {
  for (let turn = 0; models.some(({ isIdle }) => !isIdle); turn++) {
    assert(turn < 1_000, "somebody waits for ever");
    for (const model of models) model.answerOne();
    await settle(1);
    check();
  }
}

async function run(seed: number): Promise<void> {
  const random = seededRandom(seed);
  const cluster = await TestCluster.start();
  const models: ModelClient[] = [];
  const history = new History();
  for (let index = 0; index < 3; index++) models.push(new ModelClient(await TestClient.open(cluster), random, history));
  const check = (): void => {
    checkAlone(models);
    for (const model of models) model.check(cluster);
  };
  for (let round = 0; round < roundsPerCluster; round++) {
    for (let at = 0; at < stepsPerRound; at++) {
      const model = pick(random, models);
      if (!model.isAsking && random.below(20) === 0) await model.reconnect();
      step(cluster, random, model);
      if (random.below(2) === 0) await settle(1);
      check();
    }
    await drain(models, check);
    if (random.below(10) === 0) {
      await cluster.crash();
      await Promise.all(models.map((model) => model.reconnect()));
      check();
    }
    // So that what bounces is given leases again.
    await cluster.clock.advance(random.below(2) * 200);
  }
  const { leases } = cluster.server.status();
  assert.deepEqual(leases, { recalls: 0, waitingRequests: 0 });
  await cluster.stop();
}

test("of several clients in random order none keeps what is not so, and all are answered", async (t) => {
  for (let seed = 1; seed <= Math.ceil(rounds / roundsPerCluster); seed++) {
    try {
      await run(seed);
    } catch (cause) {
      throw new Error(`seed ${String(seed)}: ${String(cause)}`, { cause });
    }
  }
  t.pass();
});
