import test from "ava";
import { cannotMount, hasPython, python, shell, withMount } from "./mounted.ts";
import { MemoryFilesystem } from "./memory-filesystem.ts";

const mounted = cannotMount === undefined ? test.serial : test.skip;
const withPython = cannotMount === undefined && hasPython ? test.serial : test.skip;
if (cannotMount !== undefined) test(`mounted tests are left out: ${cannotMount}`, (t) => void t.pass());
else if (!hasPython) test("tests by system calls are left out: there is no python3", (t) => void t.pass());

const prelude = `
import os, fcntl, mmap, ctypes, errno, struct, stat
libc = ctypes.CDLL(None, use_errno=True)
L = ctypes.c_long
def check(result):
    if result < 0:
        e = ctypes.get_errno(); raise OSError(e, os.strerror(e))
    return result
def fails(name, f, *args, **kw):
    try: f(*args, **kw)
    except OSError as e: assert e.errno == getattr(errno, name), (name, e)
    else: assert False, 'no ' + name
def put(path, text): open(path, 'w').write(text)
def get(path): return open(path).read()
def rename2(a, b, flags): return check(libc.renameat2(-100, a.encode(), -100, b.encode(), flags))
`;

/** A case is a script of system calls with assertions, in the root of a fresh mount. */
function calls(title: string, script: string): void {
  withPython(title, async (t) => {
    await withMount(new MemoryFilesystem(), async ({ path }) => {
      await python(prelude + script, path);
    });
    t.pass();
  });
}

mounted("ordinary programs copy, list, compare, archive and remove a tree", async (t) => {
  await withMount(new MemoryFilesystem(), async ({ path }) => {
    const script = `
      mkdir -p a/b/c; for i in 1 2 3 4 5 6 7 8 9; do echo $i > a/b/$i; done; ln -s b/1 a/s; ln a/b/2 a/hard; mkfifo a/fifo
      cp -a a copy; diff -r --no-dereference a/b copy/b; [ "$(readlink copy/s)" = b/1 ]; [ "$(stat -c %h copy/hard)" = 2 ]
      tar cf a.tar a; mkdir x; tar xf a.tar -C x; diff -r --no-dereference a/b x/a/b
      mv x y; find . | wc -l; rm -rf a copy y a.tar; ls -A`;
    t.is(await shell(script, path), "48");
  });
});

calls(
  "links, symlinks, special files and their numbers",
  `
put('a', 'x'); os.link('a', 'b'); assert os.stat('a').st_nlink == 2 and os.stat('b').st_ino == os.stat('a').st_ino
os.symlink('t' * 4000, 's'); assert os.readlink('s') == 't' * 4000
os.mknod('dev', 0o20600, os.makedev(259, 70000)); assert os.stat('dev').st_rdev == os.makedev(259, 70000)
os.mkfifo('fifo'); assert stat.S_ISFIFO(os.stat('fifo').st_mode)
fails('EEXIST', os.link, 'a', 'b'); fails('ENOENT', os.unlink, 'no'); os.mkdir('d'); fails('EISDIR', os.unlink, 'd'); fails('ENOTDIR', os.rmdir, 'a')
`,
);

calls(
  "names of 255 bytes, of any bytes, and none longer",
  `
put('n' * 255, ''); fails('ENAMETOOLONG', put, 'n' * 256, '')
open(b'\\xff\\xfe\\x80\\n', 'w').close(); assert b'\\xff\\xfe\\x80\\n' in os.listdir(b'.')
`,
);

calls(
  "rename replaces, keeps, exchanges and leaves a whiteout",
  `
put('a', 'A'); put('b', 'B'); fails('EEXIST', rename2, 'a', 'b', 1); rename2('a', 'b', 2); assert get('a') == 'B' and get('b') == 'A'
os.rename('a', 'b'); assert get('b') == 'B' and not os.path.exists('a')
rename2('b', 'c', 4); assert stat.S_ISCHR(os.lstat('b').st_mode) and os.lstat('b').st_rdev == 0
os.mkdir('d'); os.mkdir('d/e'); os.mkdir('x'); fails('ENOTEMPTY', os.rename, 'x', 'd'); fails('EINVAL', os.rename, 'd', 'd/e/f'); os.rename('d/e', 'x/e'); assert os.stat('d').st_nlink == 2 and os.stat('x').st_nlink == 3
`,
);

calls(
  "times are exact to the nanosecond, before 1970 too, and the birth time is told",
  `
put('a', ''); os.utime('a', ns=(1, -5000000001)); s = os.stat('a'); assert (s.st_atime_ns, s.st_mtime_ns) == (1, -5000000001)
os.utime('a', ns=(1999999999999999999, 1700000000123456789)); s = os.stat('a'); assert (s.st_atime_ns, s.st_mtime_ns) == (1999999999999999999, 1700000000123456789)
import subprocess; born = subprocess.check_output(['stat', '-c', '%W', 'a']); assert int(born) > 1600000000, born
`,
);

calls(
  "the umask is applied once, and setuid is cleared by chown, write and truncation of another user",
  `
os.umask(0o027); os.close(os.open('f', os.O_CREAT | os.O_WRONLY, 0o666)); os.mkdir('d', 0o777)
assert oct(os.stat('f').st_mode) == '0o100640' and oct(os.stat('d').st_mode) == '0o40750'
os.umask(0); put('s', 'abc')
def suid(): os.chown('s', 0, 0); os.chmod('s', 0o6777)
suid(); os.chown('s', 1000, 1000); assert oct(os.stat('s').st_mode) == '0o100777'
def as_user(f):
    pid = os.fork()
    if pid == 0:
        os.setgid(1000); os.setuid(1000); f(); os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
for act in (lambda: put('s', 'x'), lambda: os.truncate('s', 1), lambda: os.write(os.open('s', os.O_WRONLY), b'y')):
    suid(); assert oct(os.stat('s').st_mode) == '0o106777'; as_user(act); assert oct(os.stat('s').st_mode) == '0o100777', oct(os.stat('s').st_mode)
`,
);

calls(
  "extended attributes: values, lists, probing of sizes, and limits",
  `
put('a', ''); os.setxattr('a', 'user.x', b'v1'); os.setxattr('a', 'user.y', b''); assert sorted(os.listxattr('a')) == ['user.x', 'user.y']
assert os.getxattr('a', 'user.x') == b'v1' and os.getxattr('a', 'user.y') == b''
fails('EEXIST', os.setxattr, 'a', 'user.x', b'', os.XATTR_CREATE); fails('ENODATA', os.setxattr, 'a', 'user.z', b'', os.XATTR_REPLACE)
buf = ctypes.create_string_buffer(1); assert libc.getxattr(b'a', b'user.x', None, 0) == 2
fails('ERANGE', lambda: check(libc.getxattr(b'a', b'user.x', buf, 1))); fails('ERANGE', lambda: check(libc.listxattr(b'a', buf, 1)))
os.setxattr('a', 'user.big', b'z' * 65536); assert len(os.getxattr('a', 'user.big')) == 65536
fails('E2BIG', os.setxattr, 'a', 'user.big', b'z' * 65537)
os.removexattr('a', 'user.x'); fails('ENODATA', os.getxattr, 'a', 'user.x'); fails('ENODATA', os.removexattr, 'a', 'user.x')
`,
);

calls(
  "sparse files: fallocate in its modes, holes and data, copy_file_range",
  `
fd = os.open('a', os.O_RDWR | os.O_CREAT); os.posix_fallocate(fd, 0, 262144); assert os.fstat(fd).st_size == 262144
os.pwrite(fd, b'x' * 262144, 0); check(libc.fallocate(fd, 3, L(65536), L(65536)))
assert os.lseek(fd, 0, os.SEEK_HOLE) == 65536 and os.lseek(fd, 65536, os.SEEK_DATA) == 131072
assert os.pread(fd, 65540, 65534) == b'xx' + bytes(65536) + b'xx'
check(libc.fallocate(fd, 1, L(262144), L(65536))); assert os.fstat(fd).st_size == 262144
fails('EOPNOTSUPP', lambda: check(libc.fallocate(fd, 8, L(0), L(65536)))); fails('ENXIO', os.lseek, fd, 262144, os.SEEK_DATA)
to = os.open('b', os.O_RDWR | os.O_CREAT); assert os.copy_file_range(fd, to, 200000, 10, 20) == 200000
assert os.pread(to, 300000, 20) == os.pread(fd, 200000, 10)
big = os.open('big', os.O_RDWR | os.O_CREAT); os.pwrite(big, b'end', 5 << 30); assert os.fstat(big).st_size == (5 << 30) + 3
fails('EFBIG', os.pwrite, big, b'x', 1 << 62); fails('EFBIG', os.ftruncate, big, 1 << 60); fails('ENXIO', os.lseek, big, 1 << 60, os.SEEK_DATA)
`,
);

calls(
  "O_TMPFILE, O_APPEND, O_TRUNC, O_EXCL and files that are open but unlinked",
  `
t = os.open('.', os.O_TMPFILE | os.O_RDWR, 0o600); os.write(t, b'tmp'); assert os.listdir('.') == []
check(libc.linkat(-100, f'/proc/self/fd/{t}'.encode(), -100, b'named', 0x400)); assert get('named') == 'tmp'
a = os.open('log', os.O_CREAT | os.O_WRONLY | os.O_APPEND); b = os.open('log', os.O_WRONLY | os.O_APPEND)
for i in range(10): os.write(a if i % 2 else b, b'%d' % i)
assert get('log') == '0123456789'; put('log', 'short'); assert get('log') == 'short'
fails('EEXIST', os.open, 'log', os.O_CREAT | os.O_EXCL)
f = os.open('log', os.O_RDWR); os.unlink('log'); assert os.pread(f, 9, 0) == b'short' and os.fstat(f).st_nlink == 0; os.pwrite(f, b'S', 0); assert os.pread(f, 1, 0) == b'S'
`,
);

calls(
  "shared mappings write through, private ones do not, and O_DIRECT reads what was written",
  `
fd = os.open('a', os.O_RDWR | os.O_CREAT); os.ftruncate(fd, 8192); m = mmap.mmap(fd, 8192); m[4096:4101] = b'MMAPS'; m.flush()
assert os.pread(fd, 5, 4096) == b'MMAPS'; p = mmap.mmap(fd, 8192, mmap.MAP_PRIVATE); p[0:4] = b'priv'; assert os.pread(fd, 4, 0) == bytes(4)
m[0:2] = b'zz'; m.close(); os.close(fd); assert open('a', 'rb').read(2) == b'zz'
d = os.open('d', os.O_RDWR | os.O_CREAT | os.O_DIRECT); w = mmap.mmap(-1, 3 << 20); w.write(os.urandom(3 << 20))
assert os.writev(d, [w]) == 3 << 20; r = mmap.mmap(-1, 3 << 20); os.lseek(d, 0, 0); assert os.readv(d, [r]) == 3 << 20 and r[:] == w[:]
`,
);

calls(
  "fcntl, OFD and flock locks exclude each other's owners and go with their files",
  `
put('a', 'x' * 100); f = os.open('a', os.O_RDWR)
fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 5)
def child(g):
    pid = os.fork()
    if pid == 0:
        try: g()
        except BaseException as e: print(repr(e)); os._exit(1)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
def other():
    h = os.open('a', os.O_RDWR); fails('EAGAIN', fcntl.lockf, h, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 14); fcntl.lockf(h, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 15)
    got = struct.unpack('hhqqi4x', fcntl.fcntl(h, fcntl.F_GETLK, struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 0, 0, 0)))
    assert got[0] == fcntl.F_WRLCK and (got[2], got[3]) == (5, 10) and got[4] == os.getppid(), got
child(other); os.close(f)
child(lambda: fcntl.lockf(os.open('a', os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB))
a, b = os.open('a', os.O_RDWR), os.open('a', os.O_RDWR)
fcntl.flock(a, fcntl.LOCK_EX); fails('EAGAIN', fcntl.flock, b, fcntl.LOCK_SH | fcntl.LOCK_NB); fcntl.flock(a, fcntl.LOCK_SH); fcntl.flock(b, fcntl.LOCK_SH | fcntl.LOCK_NB)
fcntl.flock(a, fcntl.LOCK_UN); fcntl.flock(b, fcntl.LOCK_UN)
ofd = lambda fd, type, op=37: fcntl.fcntl(fd, op, struct.pack('hhqqi4x', type, 0, 0, 0, 0))
ofd(a, fcntl.F_WRLCK); fails('EAGAIN', ofd, b, fcntl.F_WRLCK); os.close(a)
import time
for i in range(1000):
    try: ofd(b, fcntl.F_WRLCK); break
    except OSError: time.sleep(0.005)
else: assert False, 'the OFD lock outlived its file'
`,
);

calls(
  "10,000 files are listed whole, with and without attributes, and removed while being read",
  `
os.mkdir('d'); names = {f'file-{i:05d}' for i in range(10000)}
for n in names: os.close(os.open('d/' + n, os.O_CREAT | os.O_WRONLY))
assert set(os.listdir('d')) == names; assert {e.name for e in os.scandir('d') if e.stat().st_size == 0} == names
for e in os.scandir('d'): os.unlink('d/' + e.name)
assert os.listdir('d') == []; os.rmdir('d')
`,
);

calls(
  "requests that are not implemented have their errno, and leave the mount alive",
  `
put('a', 'x'); f = os.open('a', os.O_RDWR); fails('ENOTTY', fcntl.ioctl, f, 0x5401, bytes(64))
import select; assert select.select([f], [f], [], 0)[0] == [f]; os.fsync(f); os.fdatasync(f); check(libc.syncfs(f)); os.fsync(os.open('.', os.O_RDONLY))
v = os.statvfs('.'); assert (v.f_bsize, v.f_namemax, v.f_blocks) == (4096, 255, 100000000); assert get('a') == 'x'
`,
);

withPython("1 MiB reads and writes travel as one request each", async (t) => {
  await withMount(new MemoryFilesystem(), async ({ path, fuse }) => {
    const megabytes = `
fd = os.open('a', os.O_RDWR | os.O_CREAT); data = os.urandom(8 << 20)
for i in range(8): assert os.pwrite(fd, data[i << 20:(i + 1) << 20], i << 20) == 1 << 20
os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED); assert os.pread(fd, 8 << 20, 0) == data`;
    await python(prelude + megabytes, path);
    t.is(fuse.statistics.requests["write"], 8);
    t.true((fuse.statistics.requests["read"] ?? 0) <= 12, `${String(fuse.statistics.requests["read"])} reads of 8 MiB`);
  });
});

withPython("the lookups that the kernel forgets are those that were counted", async (t) => {
  const filesystem = new MemoryFilesystem();
  await withMount(filesystem, async ({ path }) => {
    const script = `
for i in range(300): put(f'f{i}', '')
[e.stat() for e in os.scandir('.')]
for i in range(300): os.unlink(f'f{i}')`;
    await python(prelude + script, path);
    await shell("echo 2 > /proc/sys/vm/drop_caches", path);
  });
  t.is(filesystem.inodes.size, 1);
});
