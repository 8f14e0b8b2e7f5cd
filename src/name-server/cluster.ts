/** The cluster's identity: made once, at the first start on an empty store, together with the root directory. */
import type { Clock } from "../base/clock.ts";
import { assert } from "../base/assert.ts";
import { isClusterId, type ClusterId } from "../base/ids.ts";
import type { Log } from "../base/log.ts";
import { randomId, type Random } from "../base/random.ts";
import { keys } from "../metadata-store/keys.ts";
import type { MetadataStore } from "../metadata-store/types.ts";
import type { Execution } from "./execution.ts";
import { initialize } from "./namespace/index.ts";

/** The value is the id's 8 bytes. */
const clusterKey = keys.config("cluster");

export async function initialiseCluster(parts: {
  store: MetadataStore;
  execution: Execution;
  clock: Clock;
  random: Random;
  log: Log;
}): Promise<ClusterId> {
  const { store, execution, clock, random, log } = parts;
  return execution.change((transaction) => {
    initialize(transaction, clock.wallNanos());
    const found = store.get(clusterKey)?.toString("hex");
    const cluster = found ?? randomId(random);
    assert(isClusterId(cluster), "the store holds no valid cluster id");
    if (found === undefined) {
      transaction.put(clusterKey, Buffer.from(cluster, "hex"));
      log.info({ cluster }, "a new cluster was created");
    }
    return cluster;
  });
}
