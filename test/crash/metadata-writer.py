"""Writes extended attributes until the journal of the metadata is long enough for a snapshot, and checks them.

metadata-writer.py write FOLDER PROGRESS: notes in PROGRESS, outside of the mount, what has been synced.
metadata-writer.py check FOLDER PROGRESS: every value is whole, and none older than what was synced.
"""
import os
import sys

FILES = 1000
VALUE_BYTES = 60_000
# 1.2 GB; a snapshot is taken after 1 GiB.
ROUNDS = 20
SYNC_EVERY = 100


def value(number):
    return (b"%012d" % number) * (VALUE_BYTES // 12)


def path(folder, number):
    return f"{folder}/f{number % FILES}"


def write(folder, progress):
    directory = os.open(folder, os.O_RDONLY)
    for number in range(FILES):
        open(path(folder, number), "x").close()
    for number in range(FILES * ROUNDS):
        os.setxattr(path(folder, number), "user.value", value(number))
        if number % SYNC_EVERY == SYNC_EVERY - 1:
            os.fsync(directory)
            with open(progress + ".new", "w") as file:
                file.write(str(number))
            os.rename(progress + ".new", progress)


def check(folder, progress):
    with open(progress) as file:
        synced = int(file.read())
    for first in range(FILES):
        there = os.getxattr(path(folder, first), "user.value")
        number = int(there[:12])
        assert there == value(number) and number % FILES == first, f"f{first}: torn"
        wanted = synced - (synced - first) % FILES
        assert number >= wanted, f"f{first}: {number} instead of {wanted}"
    print("synced up to", synced)


if __name__ == "__main__":
    {"write": write, "check": check}[sys.argv[1]](*sys.argv[2:])
