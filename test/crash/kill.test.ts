/** Processes killed under load: applications see at most a pause, and everything that was fsynced is there, byte for byte. */
import test, { type ExecutionContext } from "ava";
import { startCluster, type Cluster, type ClusterOptions } from "../support/cluster.ts";

function crashTest(
  title: string,
  options: ClusterOptions,
  run: (t: ExecutionContext, c: Cluster) => Promise<void>,
): void {
  test.serial(title, async (t) => {
    t.timeout(300_000);
    const cluster = await startCluster(options);
    try {
      await run(t, cluster);
    } catch (error) {
      for (const name of ["name", "client"]) t.log(name, cluster.log(name).slice(-1_500));
      throw error;
    } finally {
      cluster.down();
    }
  });
}

function millis(count: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, count));
}

/**
 * Writes files named by their content's checksum, each fsynced, and its name too, before it is noted outside of the mount; ends when
 * the file `stop` appears beside the notes.
 */
const writer = `cat > "$NOTES/writer.py" <<'P'
import hashlib, os, sys, random
notes, seed = sys.argv[1], int(sys.argv[2])
rnd = random.Random(seed)
log = open(notes + "/done.%d" % seed, "a", buffering=1)
folder = os.open(".", os.O_RDONLY)
def sync_names():
    # False: the driver was killed meanwhile, and the last changes of names may be lost.
    global folder
    try: os.fsync(folder)
    except OSError:
        os.close(folder); folder = os.open(".", os.O_RDONLY)
        return False
    return True
k = 0
while not os.path.exists(notes + "/stop"):
    data = rnd.randbytes(rnd.choice([100, 4096, 70000, 300000, 5000000]))
    name = "w%d-%05d" % (seed, k)
    fd = os.open(name + ".tmp", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    view = memoryview(data)
    while view: view = view[os.write(fd, view[:131072]):]
    os.fsync(fd); os.close(fd)
    os.rename(name + ".tmp", name)
    if not sync_names() and not os.path.exists(name):
        k += 1; continue
    log.write("%s %s\\n" % (name, hashlib.md5(data).hexdigest()))
    k += 1
    if k % 7 == 0:
        old = "w%d-%05d" % (seed, k - 5)
        log.write("%s ?\\n" % old); os.unlink(old)
        while not sync_names():
            if os.path.exists(old): os.unlink(old)
        log.write("%s -\\n" % old)
P
`;
const verify = `cat "$NOTES"/done.* | python3 -c "
import sys, hashlib
want = {}; leaving = set()
for line in sys.stdin:
    name, digest = line.split()
    if digest == '?': leaving.add(name) # from here on it may be gone, until that is noted too
    else: want[name] = digest
bad = []
for name, digest in want.items():
    try: have = hashlib.md5(open(name, 'rb').read()).hexdigest()
    except FileNotFoundError: have = '-'
    if have != digest and not (have == '-' and name in leaving): bad.append((name, digest, have))
print(len(want), 'files,', len(bad), 'wrong', bad[:3]); sys.exit(1 if bad or len(want) < 10 else 0)"`;

async function underLoad(
  t: ExecutionContext,
  c: Cluster,
  faults: () => Promise<void>,
  options: { mayFail?: boolean } = {},
): Promise<void> {
  const notes = (await c.sh("mktemp -d /var/tmp/dfs-notes-XXXX", { cwd: "/" })).trim();
  const env = `export NOTES=${notes};`;
  await c.sh(env + writer, { cwd: "/" });
  const writers = [1, 2].map((seed) =>
    c.sh(`${env} python3 $NOTES/writer.py $NOTES ${String(seed)}`, { seconds: 200 }).catch((error: unknown) => {
      if (options.mayFail !== true) throw error;
      return "";
    }),
  );
  const settled = Promise.allSettled(writers);
  // A busy machine needs longer for that.
  await c.sh(`${env} timeout 90 sh -c 'until [ "$(cat $NOTES/done.* | wc -l)" -ge 12 ]; do sleep 0.2; done'`, {
    cwd: "/",
    seconds: 100,
  });
  await millis(500);
  await faults();
  await c.sh(`${env} touch $NOTES/stop`, { cwd: "/" });
  for (const result of await settled) if (result.status === "rejected") throw result.reason as Error;
  const verdict = (await c.sh(env + verify, { seconds: 100 })).trim();
  t.regex(verdict, /^\d+ files, 0 wrong/);
  t.log(verdict);
  await c.sh(`rm -rf ${notes}`, { cwd: "/" });
}

crashTest("a storage node killed while files are written: no application sees an error", {}, async (t, c) => {
  await underLoad(t, c, async () => {
    for (const node of ["storage-1", "storage-3"]) {
      c.kill(node);
      await millis(3_000);
      c.up();
      await millis(1_000);
    }
  });
});

crashTest("a storage node killed while a file is read: the reader sees every byte and no error", {}, async (t, c) => {
  await c.sh("head -c 200000000 /dev/urandom | tee big | md5sum > /var/tmp/dfs-big.md5; sync big");
  // Remounted, so that the bytes come from the nodes.
  t.is(c.dfs("umount", c.mnt).status, 0);
  c.up();
  const read = c.sh("md5sum < big | diff - /var/tmp/dfs-big.md5; rm /var/tmp/dfs-big.md5");
  await millis(150);
  c.kill("storage-2");
  await t.notThrowsAsync(read);
});

crashTest("the name server killed and restarted under load: applications see a pause", {}, async (t, c) => {
  await underLoad(t, c, async () => {
    for (let round = 0; round < 3; round++) {
      c.kill("name");
      await millis(500 + round * 1_000);
      c.up();
      await millis(1_500);
    }
  });
});

crashTest("the client killed: what was fsynced is there after the next mount", {}, async (t, c) => {
  await underLoad(
    t,
    c,
    async () => {
      c.kill("client");
      await millis(500);
      c.up();
    },
    { mayFail: true },
  );
});

crashTest("the driver killed again and again: what was fsynced is there, at the same mount", {}, async (t, c) => {
  await underLoad(
    t,
    c,
    async () => {
      for (let round = 0; round < 3; round++) {
        process.kill(c.driverPid(), "SIGKILL");
        await millis(2_000);
      }
      await c.sh("mkdir more; cp -r /usr/include/linux more/; sync more; diff -r /usr/include/linux more/linux");
    },
    { mayFail: true },
  );
});

crashTest("every process killed at once: what was fsynced is there", {}, async (t, c) => {
  await underLoad(
    t,
    c,
    async () => {
      for (const name of ["client", "name", "storage-1", "storage-2", "storage-3"]) c.kill(name);
      await millis(500);
      c.up();
    },
    { mayFail: true },
  );
});

crashTest("a stopped and continued process loses nothing: each in turn for 3 s", {}, async (t, c) => {
  await underLoad(t, c, async () => {
    for (const name of ["storage-1", "name", "client"]) {
      c.kill(name, "SIGSTOP");
      await millis(3_000);
      c.kill(name, "SIGCONT");
      await millis(1_000);
    }
  });
});
