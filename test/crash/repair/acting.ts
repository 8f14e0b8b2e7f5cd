/** What the tests of repair on real processes share: looking at the cluster often, and files whose content is known. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fetchStatus } from "../../../src/cli/status.ts";
import type { StatusReply } from "../../../src/protocol/status.ts";
import type { Cluster } from "../../support/cluster.ts";

/** Short, but longer than a busy machine keeps a living node silent. */
export const silence = { downAfter: 3, outAfter: 6 };

export function addressOf(cluster: Cluster): string {
  return `127.0.0.1:${String(cluster.port)}`;
}

/** As `cluster.status()`, in a few milliseconds. */
export function look(cluster: Cluster): Promise<StatusReply> {
  return fetchStatus([{ host: "127.0.0.1", port: cluster.port }], undefined);
}

export function pause(millis: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, millis));
}

/** Looks until it holds, and resolves with what was seen then; `what` is a sentence for the failure. */
export async function until(
  cluster: Cluster,
  what: string,
  holds: (status: StatusReply) => boolean,
  { seconds = 90, everyMillis = 50 }: { seconds?: number; everyMillis?: number } = {},
): Promise<StatusReply> {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    const status = await look(cluster);
    if (holds(status)) return status;
    if (performance.now() > end) {
      const { nodes, groups, repair, warnings } = status;
      throw new Error(
        `not after ${String(seconds)} s: ${what}\n${JSON.stringify({ nodes, groups, repair, warnings })}`,
      );
    }
    await pause(everyMillis);
  }
}

/** Every group has all its copies on nodes that are up. */
export function isWhole({ groups, repair }: StatusReply): boolean {
  return groups.degraded + groups.lost + repair.groupsWaiting === 0;
}

export type Node = StatusReply["nodes"][number];

/** The node that `storage-N` of the cluster is now. */
export function nodeOf(cluster: Cluster, { nodes }: StatusReply, name: string): Node {
  const port = cluster.port + 99 + Number(name.slice("storage-".length));
  const there = nodes.filter(({ address, state }) => address.endsWith(`:${String(port)}`) && state !== "removed");
  const found = there.find(({ state }) => state !== "out") ?? there[0];
  if (found === undefined) throw new Error(`there is no ${name}`);
  return found;
}

/**
 * Makes `count` files of `bytes` each and some small ones in a new directory of the mount, all synced; what they should be
 * is noted outside of it.
 */
export async function fill(cluster: Cluster, folder: string, count: number, bytes: number): Promise<void> {
  await cluster.sh(
    `mkdir ${folder}; cd ${folder}
    for i in $(seq ${String(count)}); do head -c ${String(bytes)} /dev/urandom | tee large-$i | md5sum | sed "s/-$/large-$i/"; done > "${cluster.dir}/${folder}.md5"
    for i in $(seq 30); do echo "small $i" > small-$i; done; md5sum small-* >> "${cluster.dir}/${folder}.md5"
    sync large-* small-* . ..`,
    { seconds: 200 },
  );
}

/** Of all nodes, as they said last. */
export function usedBytes({ nodes }: StatusReply): number {
  return nodes.reduce((sum, node) => sum + node.usedBytes, 0);
}

/** Every byte of it, read from the storage nodes by a client that has just been mounted; the first `nodes` nodes run. */
export async function compare(cluster: Cluster, nodes: number, ...folders: readonly string[]): Promise<void> {
  const unmounted = cluster.dfs("umount", cluster.mnt);
  if (unmounted.status !== 0) throw new Error(`umount: ${unmounted.stderr}`);
  cluster.up(nodes);
  for (const folder of folders) {
    await cluster.sh(`cd ${folder}; md5sum --quiet -c "${cluster.dir}/${folder}.md5"`, { seconds: 200 });
  }
}

/** A client that makes small changes and syncs each; `stop` resolves with how many there were, all there. */
export function keepBusy(cluster: Cluster, name: string): { stop(): Promise<number> } {
  const notes = join(cluster.dir, name);
  const done = cluster.sh(
    `n=0; until [ -e "${notes}.stop" ]; do n=$((n + 1)); echo "line $n" >> ${name}; sync ${name}; done
    seq -f 'line %.0f' $n | cmp - ${name}; echo $n`,
  );
  const failed = done.catch(() => undefined);
  return {
    async stop() {
      writeFileSync(`${notes}.stop`, "");
      await failed;
      return Number(await done);
    },
  };
}

/** What `dfs fsck --data` has to say; undefined: nothing. */
export function complaints(cluster: Cluster): string | undefined {
  const { status, stdout, stderr } = cluster.dfs("fsck", "--data", "--name-server", addressOf(cluster));
  return status === 0 ? undefined : `dfs fsck ended with ${String(status)}: ${stdout.slice(-1_500)}${stderr}`;
}
