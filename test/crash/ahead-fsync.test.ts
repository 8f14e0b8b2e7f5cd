/**
 * fsync of a small file does not wait for the data of a large copy that runs beside it: it needs its own data and the log
 * up to there, and the copy's extents enter the log only when their blocks are durable.
 */
import test from "ava";
import { startCluster } from "../support/cluster.ts";

const medianMillisMax = 100;
const samplesMin = 20;

/** Prints the milliseconds that each fsync of a new small file took: a number of times, or while a process runs. */
const syncing = `
import os, sys, time
def running(pid):
    try: return open("/proc/%s/stat" % pid).read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError: return False
name, times, pid = sys.argv[1], int(sys.argv[2]), sys.argv[3]
k = 0
while k < times and (pid == "-" or running(pid)):
    fd = os.open("%s-%d" % (name, k), os.O_CREAT | os.O_WRONLY)
    os.write(fd, os.urandom(4000))
    start = time.monotonic()
    os.fsync(fd)
    print("%.3f" % ((time.monotonic() - start) * 1000))
    os.close(fd)
    k += 1
`;
const alone = `python3 - alone 200 - <<'P'${syncing}P`;
const beside = `
dd if=/dev/zero of=large bs=1M count=300 conv=fsync status=none & copy=$!
until [ "$(stat -c %s large 2> /dev/null || echo 0)" -gt 8000000 ]; do :; done
python3 - beside 100000 $copy <<'P'${syncing}P
wait $copy
[ "$(stat -c %s large)" = 314572800 ]; rm large`;

function median(sorted: readonly number[]): number {
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

function told(sorted: readonly number[]): string {
  const p90 = sorted[Math.floor(sorted.length * 0.9)] ?? NaN;
  return `median ${median(sorted).toFixed(1)} ms, p90 ${p90.toFixed(1)} ms of ${String(sorted.length)}`;
}

test.serial("fsync of a small file does not wait for the data of a large copy beside it", async (t) => {
  t.timeout(240_000);
  const cluster = await startCluster();
  try {
    const sample = async (script: string): Promise<number[]> => {
      const output = await cluster.sh(script, { seconds: 90 });
      const millis = output.trim().split("\n").map(Number);
      return millis.sort((a, b) => a - b);
    };
    const quiet = await sample(alone);
    const busy: number[] = [];
    for (let copy = 0; copy < 5 && busy.length < samplesMin; copy++) busy.push(...(await sample(beside)));
    busy.sort((a, b) => a - b);
    t.log(`alone: ${told(quiet)}; beside a copy of 300 MB: ${told(busy)}`);
    t.true(busy.length >= samplesMin, "too few fsyncs beside the copies to judge by");
    t.true(median(busy) < medianMillisMax, `${told(busy)}; alone ${told(quiet)}`);
  } finally {
    cluster.down();
  }
});
