/** Recovery of a name server's folder from the nodes of a `CopyCluster`, and what is in folders. */
import { silentLog } from "../../../src/base/log.ts";
import { openMemoryStore } from "../../../src/metadata-store/open.ts";
import type { MetadataReader } from "../../../src/metadata-store/types.ts";
import { recoverFolder } from "../../../src/name-server/copies/recover.ts";
import type { FaultyDisk } from "../../support/faulty-disk.ts";
import { connecting, type CopyNode } from "./copy-node.ts";
import { CopyCluster } from "./support.ts";

let servers = 0;

/** Makes the folder anew from what the nodes keep; resolves with the id of its server. */
export function recover(
  disk: FaultyDisk,
  nodes: readonly CopyNode[],
  options: { acceptLoss?: boolean; budget?: { callsLeft: number }; of?: readonly CopyNode[] } = {},
): Promise<string> {
  const server = `00000000000c${String(servers++).padStart(4, "0")}`;
  const { acceptLoss = false, budget, of = nodes } = options;
  return recoverFolder({
    ...{ disk, server, acceptLoss, log: silentLog, address: null },
    nodes: of.map(({ port }) => ({ host: "127.0.0.1", port })),
    connect: connecting(nodes, budget),
  }).then(() => server);
}

/** What the folder holds, opened as a name server does. */
export async function contentIn(disk: FaultyDisk): Promise<unknown[]> {
  const store = await openMemoryStore({ disk, clock: new CopyCluster().clock });
  const content = contentOf(store);
  await store.close();
  return content;
}

export function contentOf(store: MetadataReader): unknown[] {
  return [...store.range({ gte: "", lt: "\xff" })].map(([key, value]) => [key, Buffer.from(value)]);
}
