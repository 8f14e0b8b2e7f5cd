"""
One ordinary program that works in a folder of the mount, in units, and notes outside of it what is durable.

    load.py run    PROGRAM FOLDER NOTES SEED strict|lenient    until NOTES/stop exists
    load.py verify PROGRAM FOLDER NOTES

A unit is noted only after everything that it promises was fsynced, and while the same driver served all of it: a descriptor
that was opened before the unit answers EIO once another driver has taken over. strict: any error ends the program with it.
lenient (the client itself is killed): what an ordinary user does: clear away locks, try again.
NOTES/PROGRAM.units grows by a line with every unit, for whoever waits for progress.
"""

import hashlib
import os
import random
import subprocess
import sys
import time


def main():
    verb, name, folder, notes = sys.argv[1:5]
    if verb == "verify":
        print(PROGRAMS[name](folder, notes, 0).verify())
        return
    program = PROGRAMS[name](folder, notes, int(sys.argv[5]))
    lenient = sys.argv[6] == "lenient"
    number = 0
    # Without a folder for notes the test itself has ended.
    while os.path.isdir(notes) and not os.path.exists(notes + "/stop"):
        try:
            # The folder is there as long as the right thing is mounted.
            guard = os.open(folder, os.O_RDONLY)
            try:
                note = program.unit(number)
                os.fsync(guard)
            finally:
                os.close(guard)
        except (OSError, subprocess.SubprocessError) as error:
            if not lenient:
                sys.exit(f"{name}, unit {number}: {describe(error)}")
            time.sleep(0.2)
            number += 1
            program.recover()
            continue
        with open(f"{notes}/{name}.units", "a") as log:
            log.write(note + "\n")
        number += 1


def run(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, cwd="/", timeout=240, **options).stdout


def describe(error):
    output = getattr(error, "stderr", None) or b""
    return f"{error} {output.decode(errors='replace')[-500:]}"


class Program:
    def __init__(self, folder, notes, seed):
        self.folder, self.notes, self.random = folder, notes, random.Random(seed)

    def recover(self):
        pass

    def noted(self):
        path = f"{self.notes}/{type(self).__name__.lower()}.units"
        with open(path) as log:
            return [line.split() for line in log]


class Writer(Program):
    """Files of many sizes, fsynced, renamed, some overwritten in the middle, some removed."""

    def unit(self, number):
        data = bytearray(self.random.randbytes(self.random.choice([0, 100, 4096, 70000, 300000, 5000000])))
        name = f"w{number:05d}"
        path = os.path.join(self.folder, name)
        with open(path + ".tmp", "wb", buffering=0) as file:
            view = memoryview(data)
            while view:
                view = view[file.write(view[:131072]) :]
            os.fsync(file.fileno())
            if len(data) > 1000 and self.random.random() < 0.5:
                at = self.random.randrange(len(data) - 500)
                data[at : at + 500] = self.random.randbytes(500)
                file.seek(at)
                file.write(data[at : at + 500])
                os.fsync(file.fileno())
        os.rename(path + ".tmp", path)
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        if number % 5 == 4:
            gone = f"w{number - 3:05d}"
            with open(f"{self.notes}/writer.gone", "a") as log:
                log.write(gone + "\n")
            if os.path.exists(os.path.join(self.folder, gone)):
                os.unlink(os.path.join(self.folder, gone))
        return f"{name} {hashlib.md5(data).hexdigest()}"

    def verify(self):
        gone = set()
        if os.path.exists(f"{self.notes}/writer.gone"):
            with open(f"{self.notes}/writer.gone") as log:
                gone = set(log.read().split())
        for name, digest in self.noted():
            try:
                with open(os.path.join(self.folder, name), "rb") as file:
                    have = hashlib.md5(file.read()).hexdigest()
            except FileNotFoundError:
                if name in gone:
                    continue
                sys.exit(f"{name} is missing")
            if have != digest:
                sys.exit(f"{name} has other bytes: {have}, not {digest}")
        return f"{len(self.noted())} files"


class Sqlite(Program):
    """Transactions; the journal in both ways that there are."""

    def __init__(self, *args):
        super().__init__(*args)
        self.database = os.path.join(self.folder, "db")

    def sql(self, text, mode="rw"):
        # Of the file's URI, so that no database is created where the mount is not.
        uri = f"file:{self.database}?mode={mode}"
        return run("sqlite3", "-bail", uri, input=f".timeout 60000\n{text}\n".encode()).decode()

    def unit(self, number):
        if number == 0 or not os.path.exists(self.database):
            self.sql("create table if not exists t(id integer primary key, body blob)", "rwc")
        body = self.random.randbytes(self.random.choice([10, 5000, 60000])).hex()
        journal = "wal" if number % 10 >= 5 else "delete"
        self.sql(
            f"pragma journal_mode={journal}; pragma synchronous=full; begin immediate;"
            f"insert into t values({number}, x'{body}'); insert into t values({number + 1000000}, x'{body}'); commit;"
        )
        return f"{number} {hashlib.md5(bytes.fromhex(body)).hexdigest()}"

    def verify(self):
        check = self.sql("pragma integrity_check").strip()
        if check != "ok":
            sys.exit(f"integrity_check: {check}")
        rows = dict(line.split("|") for line in self.sql("select id, hex(body) from t").split())
        for number, digest in self.noted():
            for key in (number, str(int(number) + 1000000)):
                if key not in rows:
                    sys.exit(f"row {key} is missing")
                if hashlib.md5(bytes.fromhex(rows[key])).hexdigest() != digest:
                    sys.exit(f"row {key} has another body")
        return f"{len(rows)} rows"


class Git(Program):
    """Commits, everything of them fsynced."""

    def __init__(self, *args):
        super().__init__(*args)
        self.tree = os.path.join(self.folder, "tree")

    def git(self, *args):
        settings = ["core.fsync=all", "user.name=a", "user.email=a@b", "gc.auto=0", "init.defaultBranch=main"]
        options = [word for setting in settings for word in ("-c", setting)]
        return run("git", "-C", self.tree, *options, *args).decode()

    def unit(self, number):
        if not os.path.exists(self.tree + "/.git/refs/heads"):
            os.makedirs(self.tree, exist_ok=True)
            self.git("init", "-q")
        heads = os.open(self.tree + "/.git/refs/heads", os.O_RDONLY)
        try:
            for i in range(3):
                with open(f"{self.tree}/file{self.random.randrange(40)}", "wb") as file:
                    file.write(self.random.randbytes(self.random.choice([20, 9000, 200000])))
            self.git("add", "-A")
            self.git("commit", "-q", "--allow-empty", "-m", str(number))
            # The renames of what was fsynced come before this one.
            os.fsync(heads)
        finally:
            os.close(heads)
        return self.git("rev-parse", "HEAD").strip()

    def recover(self):
        for path in ("index.lock", "HEAD.lock", "refs/heads/main.lock", "config.lock"):
            try:
                os.unlink(f"{self.tree}/.git/{path}")
            except OSError:
                pass

    def verify(self):
        self.git("fsck", "--full", "--strict", "--no-dangling")
        have = set(self.git("rev-list", "HEAD").split())
        for (commit,) in self.noted():
            if commit not in have:
                sys.exit(f"commit {commit} is missing")
        return f"{len(have)} commits"


class Tar(Program):
    """A tree unpacked and synced, file by file."""

    def archive(self):
        path = f"{self.notes}/tree.tar"
        if not os.path.exists(path):
            run("tar", "-C", "/usr/include", "-cf", path + ".new", "linux/netfilter", "asm-generic")
            os.rename(path + ".new", path)
        return path

    def unit(self, number):
        folder = os.path.join(self.folder, f"tree{number}")
        os.mkdir(folder)
        guard = os.open(folder, os.O_RDONLY)
        try:
            run("tar", "-C", folder, "-xf", self.archive())
            for parent, _, files in os.walk(folder):
                for path in [os.path.join(parent, file) for file in files] + [parent]:
                    fd = os.open(path, os.O_RDONLY)
                    try:
                        os.fsync(fd)
                    finally:
                        os.close(fd)
            os.fsync(guard)
        finally:
            os.close(guard)
        return f"tree{number}"

    def verify(self):
        for (name,) in self.noted():
            compared = subprocess.run(
                ["tar", "-C", os.path.join(self.folder, name), "-df", self.archive()], capture_output=True, cwd="/"
            )
            if compared.returncode != 0:
                sys.exit(f"{name}: {compared.stdout.decode()[-300:]}{compared.stderr.decode()[-300:]}")
        return f"{len(self.noted())} trees"


PROGRAMS = {"writer": Writer, "sqlite": Sqlite, "git": Git, "tar": Tar}
main()
