/** A cluster that is full, of which nobody deletes anything: what is dead inside of blocks comes back all the same. */
import test from "ava";
import { startCluster, type Cluster } from "../support/cluster.ts";

/**
 * Fills the cluster with a file, then punches most of every other 4 MiB, and overwrites as much of the others at random
 * places, for which there is no room before what was punched comes back. The same happens to a local file.
 */
const halfKill = `
import ctypes, os, random, time
began = time.time()
MiB = 1 << 20
libc = ctypes.CDLL(None, use_errno=True)
random.seed(5)
fd = os.open("fill", os.O_RDWR | os.O_CREAT)
copy = os.open(os.environ["COPY"], os.O_RDWR | os.O_CREAT | os.O_TRUNC)
size = 0
try:
    while size < 400 * MiB:
        data = os.urandom(4 * MiB)
        os.pwrite(fd, data, size)
        os.fsync(fd)
        os.pwrite(copy, data, size)
        size += len(data)
    raise SystemExit("it does not become full")
except OSError as error:
    assert error.errno == 28, error
print("full after", time.time() - began)
os.ftruncate(fd, size)
os.fsync(fd)
blocks = size // (4 * MiB)
KEEP_SIZE_PUNCH = 3
begins = [block * 4 * MiB + random.randrange(2, 100) * 4096 for block in range(blocks)]
for at in begins[::2]:
    for each in (fd, copy):
        if libc.fallocate(each, KEEP_SIZE_PUNCH, ctypes.c_long(at), ctypes.c_long(5 * MiB // 2)) != 0:
            raise OSError(ctypes.get_errno(), "fallocate")

refusals = 0
def in_the_end(step):
    global refusals
    while True:
        try:
            return step()
        except OSError as error:
            if error.errno != 28 or time.time() - began > 150:
                raise
            refusals += 1
            time.sleep(0.5)

for at in begins[1::2]:
    for piece in random.sample(range(0, 5 * MiB // 2, 65536), 40):
        data = os.urandom(65536)
        os.pwrite(copy, data, at + piece)
        in_the_end(lambda: os.pwrite(fd, data, at + piece))
    in_the_end(lambda: os.fsync(fd))
print("refusals:", refusals)
print("overwritten after", time.time() - began)
`;

async function until(what: string, isSo: () => boolean): Promise<void> {
  for (let waited = 0; !isSo(); waited += 500) {
    if (waited > 200_000) throw new Error(`not within 200 seconds: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

const freeBytes = (cluster: Cluster): number[] => cluster.status().nodes.map((node) => node.freeBytes);

test.serial("dead parts of blocks come back in a cluster without space, with nobody deleting anything", async (t) => {
  t.timeout(400_000);
  const cluster = await startCluster({ capacity: "48M" });
  const copy = `/var/tmp/dfs-half-killed-${String(process.pid)}`;
  try {
    const said = await cluster.sh(`COPY=${copy} python3 - <<'END'\n${halfKill}\nEND`);
    t.log(said, freeBytes(cluster), cluster.status().rewrite);
    await until("space is back", () => freeBytes(cluster).every((bytes) => bytes > 6_000_000));
    t.true(cluster.status().rewrite.rewrittenBytes > 0);
    await cluster.sh(`cmp fill ${copy}`);
    const checked = cluster.dfs("fsck", "--data", "--name-server", `127.0.0.1:${String(cluster.port)}`);
    t.is(checked.status, 0, checked.stdout + checked.stderr);
  } catch (error) {
    t.log(freeBytes(cluster), cluster.status().rewrite, cluster.log("name").slice(-3_000));
    throw error;
  } finally {
    await cluster.sh(`rm -f ${copy}`, { cwd: "/" });
    cluster.down();
  }
});
