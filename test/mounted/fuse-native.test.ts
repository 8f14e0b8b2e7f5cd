/**
 * The second driver, `dfs mount --driver fuse-native`, on a real cluster: ordinary work, what it leaves as the first
 * driver sees it afterwards, how it ends, and what it says where libfuse 2 is missing.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { shell, startCluster, type Cluster } from "../support/cluster.ts";
import { hasTool } from "../support/tools.mjs";

let cluster: Cluster;

test.before(async () => {
  cluster = await startCluster();
  expectDone(cluster.dfs("umount", cluster.mnt));
});
test.after.always(() => {
  cluster.dfs("umount", cluster.mnt);
  cluster.down();
});

function expectDone(result: { status: number | null; stderr: string }): void {
  if (result.status !== 0) throw new Error(`status ${String(result.status)}: ${result.stderr}`);
}

function logFile(): string {
  return join(cluster.dir, "native.log");
}

function mount(driver: "fuse-native" | "kernel"): void {
  const address = `127.0.0.1:${String(cluster.port)}`;
  expectDone(cluster.dfs("mount", "--driver", driver, "--log", logFile(), address, cluster.mnt));
}

/** A test on the second driver's mount, left out by name where a tool is missing. */
function native(title: string, tools: readonly string[], run: (t: ExecutionContext) => Promise<void>): void {
  const missing = ["libfuse2", ...tools].filter((tool) => !hasTool(tool));
  if (missing.length > 0) {
    test.serial.skip(`${title} (without ${missing.join(", ")})`, run);
    return;
  }
  test.serial(title, async (t) => {
    t.timeout(240_000);
    mount("fuse-native");
    try {
      await run(t);
    } finally {
      cluster.dfs("umount", cluster.mnt);
    }
  });
}

native("the mount has the type, source and root that the first driver's has", [], async (t) => {
  t.is((await cluster.sh(`findmnt -no FSTYPE,SOURCE "$MNT"`)).trim(), `fuse.dfs 127.0.0.1:${String(cluster.port)}`);
  t.is((await cluster.sh("stat -c '%F %i' .")).trim(), "directory 1");
  t.regex(await cluster.sh("df -B1 --output=size . | tail -1"), /[1-9]/);
});

native("names are made, listed, linked, renamed and removed", [], async (t) => {
  const out = await cluster.sh(`
    mkdir names; cd names
    mkdir a b; echo content > a/f; ln a/f a/hard; ln -s ../a/f b/soft; mkfifo b/pipe
    test "$(stat -c %h a/f)" = 2; test "$(stat -c %i a/f)" = "$(stat -c %i a/hard)"
    test "$(cat b/soft)" = content; test "$(readlink b/soft)" = ../a/f; test -p b/pipe
    mv a/f b/moved; echo other > b/target; mv -f b/moved b/target; test "$(cat b/target)" = content
    ! rmdir a 2> /dev/null; ! mkdir b 2> /dev/null; ! cat nowhere 2> /dev/null
    : > 'spaces, commas and ü'; ls -A; rm a/hard; rmdir a; ls -A b; rm -r b; ls -A; cd ..; rm -r names`);
  t.deepEqual(out.split("\n"), [
    ...["a", "b", "spaces, commas and ü"],
    ...["pipe", "soft", "target"],
    ...["spaces, commas and ü", ""],
  ]);
});

native("attributes are changed: mode, owner, size, times, extended attributes", ["setfattr"], async (t) => {
  const out = await cluster.sh(`
    echo 0123456789 > f; chmod 640 f; chown 12:34 f; truncate -s 4 f; stat -c '%a %u %g %s' f; cat f; echo
    truncate -s 5G f; stat -c %s f; truncate -s 0 f
    touch -d '2001-02-03 04:05:06.789Z' f; TZ=UTC stat -c '%y' f
    touch -a -m -d @1500000000 f; touch -r f g; stat -c %Y g
    setfattr -n user.note -v value f; getfattr --only-values -n user.note f; echo
    getfattr f | grep user; setfattr -x user.note f; ! getfattr -n user.note f 2> /dev/null; rm f g`);
  t.deepEqual(out.split("\n"), [
    ...["640 12 34 4", "0123", "5368709120", "2001-02-03 04:05:06.789000000 +0000", "1500000000"],
    ...["value", "user.note", ""],
  ]);
});

native("access and modification time are two times", ["python3"], async (t) => {
  const out = await cluster.sh(`python3 -c '
import os
open("f", "w").close()
os.utime("f", ns=(1500000000123000000, 1600000000456000000))
s = os.stat("f")
print(s.st_atime_ns, s.st_mtime_ns)
os.unlink("f")'`);
  t.is(out.trim(), "1500000000123000000 1600000000456000000");
});

native("xattr answers longer than the caller's buffer are ERANGE", ["python3"], async (t) => {
  const out = await cluster.sh(`python3 -c '
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
open("f", "w").close()
os.setxattr("f", "user.long", b"x" * 1000)
buffer = ctypes.create_string_buffer(10)
print(libc.getxattr(b"f", b"user.long", buffer, 10), ctypes.get_errno())
print(libc.listxattr(b"f", buffer, 5), ctypes.get_errno())
print(len(os.getxattr("f", "user.long")), os.listxattr("f"))
os.unlink("f")'`);
  t.deepEqual(out.trim().split("\n"), ["-1 34", "-1 34", "1000 ['user.long']"]);
});

native("a file stays usable while it is open: appended to, unlinked, truncated", ["python3"], async (t) => {
  const out = await cluster.sh(`python3 -c '
import os
fd = os.open("log", os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o640)
os.write(fd, b"one")
os.truncate("log", 2)
os.write(fd, b"two")
os.unlink("log")
os.write(fd, b"three")
print(os.pread(fd, 20, 0), os.fstat(fd).st_nlink)
os.ftruncate(fd, 5)
print(os.fstat(fd).st_size)
os.fsync(fd)
os.close(fd)
print(os.listdir("."))'`);
  t.deepEqual(out.trim().split("\n"), ["b'ontwothree' 0", "5", "[]"]);
});

native("a name whose bytes are not UTF-8 is refused", ["python3"], async (t) => {
  const out = await cluster.sh(`python3 -c '
import errno, os
for make in (lambda: os.mkdir(b"\\xff"), lambda: os.symlink(b"\\xff", b"l")):
    try: make()
    except OSError as e: print(errno.errorcode[e.errno])'`);
  t.is(out.trim(), "EILSEQ\nEILSEQ");
});

native("what the binding cannot do fails as native-notes/fuse-native.md says", ["python3"], async (t) => {
  const out = await cluster.sh(`
    ! setpriv --reuid 1000 --regid 1000 --clear-groups ls "$MNT" 2> /dev/null
    python3 -c '
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def attempt(result):
    print(errno.errorcode[ctypes.get_errno()] if result == -1 else result)
open("a", "w").write("hello")
open("b", "w").close()
fd = os.open("a", os.O_RDWR)
attempt(libc.renameat2(-100, b"a", -100, b"b", 2))
attempt(libc.fallocate(fd, 3, ctypes.c_long(0), ctypes.c_long(4)))
print(os.lseek(fd, 0, os.SEEK_HOLE))
attempt(libc.open(b".", os.O_TMPFILE | os.O_RDWR, 0o600))
os.utime("a", (1000000000, 1000000000))
os.close(fd)'
    touch -m -d @1500000000 a; stat -c %Y a; rm a b`);
  t.deepEqual(out.trim().split("\n"), ["EINVAL", "ENOTSUP", "5", "ENOTSUP", "1000000000"]);
});

native("20 MB are copied in and out, and the first driver reads the same", [], async (t) => {
  const out = await cluster.sh(`
    work=$(mktemp -d /tmp/dfs-native-XXXX); trap 'rm -rf $work' EXIT
    head -c 20000000 /dev/urandom > $work/random
    cp $work/random copy; cmp $work/random copy; cp copy back; cmp $work/random back
    dd if=$work/random of=copy bs=4096 count=100 seek=7 conv=notrunc status=none
    cat copy | sha256sum; rm back`);
  cluster.dfs("umount", cluster.mnt);
  mount("kernel");
  t.is(await cluster.sh("cat copy | sha256sum; rm copy"), out);
});

native("tar unpacks and packs hundreds of files", [], async (t) => {
  await t.notThrowsAsync(
    cluster.sh(
      `work=$(mktemp -d /tmp/dfs-native-XXXX); trap 'rm -rf $work' EXIT
      mkdir $work/tree; for i in $(seq 400); do mkdir -p $work/tree/d$((i % 20)); seq $i $((i * 3)) > $work/tree/d$((i % 20))/f$i; done
      tar -C $work -cf $work/tree.tar tree
      tar -xf $work/tree.tar; diff -r $work/tree tree; test "$(find tree -type f | wc -l)" = 400
      tar -cf - tree | tar -C $work -xf - --one-top-level=again; diff -r $work/tree $work/again/tree; rm -r tree`,
    ),
  );
});

native("git inits, adds, commits and checks", ["git"], async (t) => {
  await t.notThrowsAsync(
    cluster.sh(
      `export HOME=/nonexistent GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
      git init -q repo; cd repo; for i in $(seq 50); do seq $i > f$i; done
      git add -A; git commit -qm one; echo more >> f1; git commit -qam two; git gc -q
      test -z "$(git status --porcelain)"; git fsck --strict 2> /dev/null; test "$(git log --oneline | wc -l)" = 2
      cd ..; rm -r repo`,
    ),
  );
});

native(
  "what was written is at the servers after dfs umount, and after a raw umount when the process has ended",
  [],
  async (t) => {
    const sums: string[] = [];
    for (const [file, end] of [
      ["by-dfs", "dfs"],
      ["raw", "raw"],
    ] as const) {
      sums.push(await cluster.sh(`head -c 3000000 /dev/urandom > ${file}; sha256sum < ${file}`));
      if (end === "dfs") expectDone(cluster.dfs("umount", cluster.mnt));
      else {
        const server = `pgrep -f 'mount -f .*${cluster.mnt}$'`;
        await shell(
          `pid=$(${server}); umount -i "$MNT"
        for i in $(seq 300); do kill -0 $pid 2> /dev/null || exit 0; sleep 0.1; done; exit 1`,
          { seconds: 60, cwd: "/", env: { ...process.env, MNT: cluster.mnt } },
        );
      }
      mount(end === "dfs" ? "fuse-native" : "kernel");
    }
    t.is(await cluster.sh("sha256sum < by-dfs; sha256sum < raw; rm by-dfs raw"), sums.join(""));
  },
);

native("SIGTERM while a file is open detaches the mount, serves the file, then ends", [], async (t) => {
  await cluster.sh("echo kept > f");
  await t.notThrowsAsync(
    shell(
      `pid=$(pgrep -f 'mount -f .*'"$MNT"'$'); exec 9< "$MNT/f"; kill -TERM $pid
      for i in $(seq 100); do grep -q " $MNT " /proc/mounts || break; sleep 0.1; done; ! grep -q " $MNT " /proc/mounts
      test "$(cat <&9)" = kept; exec 9<&-
      for i in $(seq 300); do kill -0 $pid 2> /dev/null || exit 0; sleep 0.1; done; exit 1`,
      { seconds: 60, cwd: "/", env: { ...process.env, MNT: cluster.mnt } },
    ),
  );
  t.false(readFileSync(logFile(), "utf8").includes('"level":50'), "nothing failed so far");
});

test.serial("without libfuse 2 one sentence says what to install, and the status is 1", async (t) => {
  // A process that sees the system's library folders with a whiteout in the place of libfuse.
  const out = await shell(
    `work=$(mktemp -d /tmp/dfs-native-XXXX); trap 'rm -rf $work' EXIT
    cat > $work/inside << 'END'
    mount -t tmpfs tmpfs $1; mkdir $1/upper $1/work
    folder=$(dirname "$(ldconfig -p | sed -n 's/.*libfuse\\.so\\.2 .*=> //p' | head -1)")
    if test "$folder" != .; then
      folder=$(realpath $folder)
      mknod $1/upper/libfuse.so.2 c 0 0
      mount -t overlay overlay -o lowerdir=$folder,upperdir=$1/upper,workdir=$1/work $folder
    fi
    shift; status=0; "$@" 2>&1 || status=$?; echo "status $status"
END
    unshare --mount --propagation private bash $work/inside $work \
      ${process.execPath} dist/cli/main.js mount -f --driver fuse-native 127.0.0.1:1 /tmp`,
    { seconds: 60, cwd: process.cwd() },
  );
  t.regex(
    out,
    /^dfs: the driver fuse-native needs libfuse 2 \(libfuse\.so\.2\): install it with apt-get install libfuse2[^\n]*\nstatus 1\n$/,
  );
});
