import test from "ava";
import { limits } from "../../../src/base/limits.ts";
import { DumpReader } from "../../../src/metadata-store/dump.ts";
import type { NameServerMethods } from "../../../src/protocol/name-server.ts";
import type { Peer } from "../../../src/rpc/types.ts";
import { settle } from "../../support/simulated-clock.ts";
import { live, TestClient, TestCluster } from "../support.ts";

type Admin = Peer<NameServerMethods>;
const admin = (cluster: TestCluster): Promise<Admin> => cluster.connect({ role: "admin", id: "dump" }, {}, {});

async function rest(peer: Admin): Promise<string> {
  const pieces: Buffer[] = [];
  for (;;) {
    const { payload } = await peer.call("dumpNext", {});
    if (payload.bytes.length === 0) return Buffer.concat(pieces).toString();
    requireSmall(payload.bytes);
    pieces.push(Buffer.from(payload.bytes));
  }
}

function requireSmall(piece: Buffer): void {
  if (piece.length > 2 * limits.payloadFrameBytes) throw new Error(`a piece of ${String(piece.length)} bytes`);
}

test("a dump is taken piece by piece while clients go on, and is whole", async (t) => {
  const cluster = await TestCluster.start();
  const client = await TestClient.open(cluster);
  for (let i = 0; i < 1_500; i++) await client.create(`file ${String(i)}`);
  const peer = await admin(cluster);
  await peer.call("dumpStart", {});
  await t.throwsAsync((await admin(cluster)).call("dumpStart", {}), { message: /EBUSY/ });
  const first = Buffer.from((await peer.call("dumpNext", {})).payload.bytes).toString();
  await client.create("later");
  const text = first + (await rest(peer));
  t.false(text.includes("later"));
  const reader = new DumpReader();
  for (const line of text.trimEnd().split("\n")) reader.line(line);
  t.is(reader.finish().cluster, cluster.server.cluster);
  await t.throwsAsync(peer.call("dumpNext", {}), { message: /EINVAL/ });
  await cluster.stop();
});

test("only an operator may dump, and a dump that nobody takes lets its state go", async (t) => {
  const cluster = await TestCluster.start();
  const client = await TestClient.open(cluster);
  await t.throwsAsync(client.call("dumpStart", {}), { message: /EPERM/ });
  const peer = await admin(cluster);
  await peer.call("dumpStart", {});
  await live(cluster, limits.fsckIdleMillis + 2_000, { clients: [client] });
  await t.throwsAsync(peer.call("dumpNext", {}), { message: /ECANCELED/ });
  const other = await admin(cluster);
  await other.call("dumpStart", {});
  other.close("gone");
  await settle(50);
  const third = await admin(cluster);
  await third.call("dumpStart", {});
  t.true((await rest(third)).length > 100);
  await cluster.stop();
});
