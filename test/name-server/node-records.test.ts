/** Nodes' records while their changes are not durable yet: that may take long, when copies of the journal are missing. */
import test from "ava";
import type { ClusterId, NodeId } from "../../src/base/ids.ts";
import { silentLog } from "../../src/base/log.ts";
import { keys } from "../../src/metadata-store/keys.ts";
import { openMemoryStore } from "../../src/metadata-store/open.ts";
import { decodeNode } from "../../src/metadata-store/records.ts";
import { createExecution, type Execution } from "../../src/name-server/execution.ts";
import { createListeningTime } from "../../src/name-server/listening.ts";
import { createNodes } from "../../src/name-server/nodes.ts";
import type { RemotePeer } from "../../src/name-server/types.ts";
import { FaultyDisk } from "../support/faulty-disk.ts";
import { settle, SimulatedClock } from "../support/simulated-clock.ts";

const cluster = "00000000000000aa" as ClusterId;
const id = "0000000000000001" as NodeId;
const request = {
  ...{ node: id, cluster, hostLabel: "", address: { host: "one", port: 7500 }, greatest: [] },
  ...{ capacityBytes: 1_000_000, usedBytes: 0, freeBytes: 1_000_000 },
};

test("a node that registers while it is being declared out is in", async (t) => {
  const clock = new SimulatedClock();
  const store = await openMemoryStore({ disk: new FaultyDisk(), clock });
  const real = createExecution(store);
  let isHeld = false;
  const held: (() => void)[] = [];
  const execution: Execution = {
    ...real,
    async change(run) {
      const value = await real.change(run);
      if (isHeld) await new Promise<void>((resolve) => void held.push(resolve));
      return value;
    },
  };
  const nodes = createNodes({
    ...{ store, execution, listening: createListeningTime(clock), log: silentLog, downMillis: 10_000 },
    cluster: () => cluster,
    nowNanos: () => clock.wallNanos(),
    nextNumber: () => undefined,
    events: { onChange: () => undefined, onRegistered: () => Promise.resolve() },
  });
  const peer = (): RemotePeer => ({ isOpen: true, close: () => undefined }) as unknown as RemotePeer;
  await nodes.register(peer(), request);
  const node = nodes.get(id);
  if (node === undefined) throw new Error("it did not register");
  node.state = "down";
  isHeld = true;
  const deciding = nodes.decide(node, { out: true });
  await settle();
  const registering = nodes.register(peer(), request);
  await settle();
  for (const go of held) go();
  await Promise.all([deciding, registering]);
  const kept = store.get(keys.node(id));
  t.false(node.record.out);
  t.false(kept !== undefined && decodeNode(kept).out, "and it is so in the store");
  await store.close();
});
