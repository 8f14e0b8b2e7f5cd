/**
 * make bench BENCH=repair: how fast the data of a dead storage node is copied beside how fast the mount is written, and what
 * a foreground fsync costs meanwhile. Four nodes on one machine; numbers of one run: compare them with each other.
 */
import { spawnSync } from "node:child_process";
import { performance } from "node:perf_hooks";
import { fetchStatus } from "../../src/cli/status.ts";
import type { StatusReply } from "../../src/protocol/status.ts";
import { startCluster, type Cluster } from "../support/cluster.ts";

const MB = 1e6;
const megabytes = Number(process.env["MEGABYTES"] ?? 1_000);
const outAfter = 5;

/** Appends a line and syncs, again and again: prints when each began (seconds of the wall clock) and how long it took (ms). */
const syncs = `import os, sys, time
fd = os.open("foreground", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
while not os.path.exists(sys.argv[1]):
    at = time.time(); start = time.perf_counter()
    os.write(fd, b"x" * 100); os.fsync(fd)
    print(at, (time.perf_counter() - start) * 1000)
    time.sleep(0.005)`;

export async function benchRepair(): Promise<void> {
  const cluster = await startCluster({ nodes: 4, downAfter: 2, outAfter });
  try {
    const written = await write(cluster);
    // One run without anybody else, one with the foreground.
    const alone = await dieAndRepair(cluster, "storage-4");
    console.log(`sequential write and fsync        ${written.toFixed(0)} MB/s`);
    console.log(
      `repair, nobody else               ${alone.rate.toFixed(0)} MB/s (${(alone.rate / written).toFixed(2)} of it)`,
    );
    cluster.up();
    await until(cluster, ({ nodes, repair }) => nodes.every(({ state }) => state === "up") && repair.comparing === 0);
    const stop = `${cluster.dir}/stop`;
    const foreground = cluster.sh(`python3 -c '${syncs}' ${stop}`, { seconds: 300 });
    const busy = await dieAndRepair(cluster, "storage-3");
    spawnSync("touch", [stop]);
    const lines = (await foreground)
      .trim()
      .split("\n")
      .map((line) => line.split(" ").map(Number) as [number, number]);
    const quiet = median(lines.filter(([at]) => at < busy.killedAt));
    const during = median(lines.filter(([at]) => at >= busy.beganAt && at <= busy.endedAt));
    console.log(
      `repair beside fsyncs              ${busy.rate.toFixed(0)} MB/s (${(busy.rate / written).toFixed(2)} of it)`,
    );
    console.log(
      `fsync of 100 bytes, median        ${quiet.toFixed(2)} ms; while that is repaired ${during.toFixed(2)} ms (${(during / quiet).toFixed(2)} times)`,
    );
  } finally {
    cluster.down();
  }
}

/** Megabytes per second of one program that writes. */
async function write(cluster: Cluster): Promise<number> {
  const start = performance.now();
  await cluster.sh(`dd if=/dev/zero of=data bs=1M count=${String(Math.round(megabytes))} conv=fsync status=none`, {
    seconds: 600,
  });
  return (megabytes * 1_048_576) / MB / ((performance.now() - start) / 1000);
}

interface Repaired {
  /** Megabytes per second, from the moment in which others took its place. */
  readonly rate: number;
  /** Seconds of the wall clock. */
  readonly killedAt: number;
  readonly beganAt: number;
  readonly endedAt: number;
}

async function dieAndRepair(cluster: Cluster, name: string): Promise<Repaired> {
  // Long enough to see what a quiet cluster does.
  await new Promise((resolve) => setTimeout(resolve, 5_000));
  const { repair } = await look(cluster);
  const killedAt = Date.now() / 1000;
  cluster.kill(name);
  await until(cluster, ({ repair: { state } }) => state === "copying");
  const beganAt = Date.now() / 1000;
  const whole = await until(cluster, ({ groups, repair: { groupsWaiting } }) => groups.degraded + groupsWaiting === 0);
  const endedAt = Date.now() / 1000;
  return {
    rate: (whole.repair.copiedBytes - repair.copiedBytes) / MB / (endedAt - beganAt),
    killedAt,
    beganAt,
    endedAt,
  };
}

function look(cluster: Cluster): Promise<StatusReply> {
  return fetchStatus([{ host: "127.0.0.1", port: cluster.port }], undefined);
}

async function until(cluster: Cluster, holds: (status: StatusReply) => boolean): Promise<StatusReply> {
  const end = performance.now() + 300_000;
  for (;;) {
    const status = await look(cluster);
    if (holds(status)) return status;
    if (performance.now() > end) throw new Error(`not after 300 s: ${JSON.stringify(status.repair)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function median(samples: readonly (readonly [number, number])[]): number {
  const times = samples.map(([, took]) => took).sort((a, b) => a - b);
  return times[Math.floor(times.length / 2)] ?? NaN;
}
