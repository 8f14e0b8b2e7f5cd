/**
 * The disk of one process: operations take a while, some at their beginning and some at their end; of a process that was
 * killed none that was under way comes back.
 */
import type { Disk, DiskFile } from "../../src/base/disk.ts";
import type { IndexBackend, IndexBackendFactory } from "../../src/block-store/index-backend.ts";
import type { FaultyDisk } from "../support/faulty-disk.ts";
import type { Machine } from "./machine.ts";

type Run = <T>(operation: () => Promise<T>) => Promise<T>;

/** @param slowness what each operation takes at most, in milliseconds */
export function diskOf(machine: Machine, disk: FaultyDisk, slowness: { millis: number }): Disk {
  const run = inTime(machine, slowness);
  const fileOf = (file: DiskFile): DiskFile => ({
    read: (into, position) => run(() => file.read(into, position)),
    write: (pieces, position) => run(() => file.write(pieces, position)),
    sync: () => run(() => file.sync()),
    truncate: (bytes) => run(() => file.truncate(bytes)),
    size: () => run(() => file.size()),
    close: () => file.close(),
  });
  return {
    root: disk.root,
    open: async (path, mode, options) => fileOf(await run(() => disk.open(path, mode, options))),
    list: (path) => run(() => disk.list(path)),
    makeFolder: (path) => run(() => disk.makeFolder(path)),
    rename: (from, to) => run(() => disk.rename(from, to)),
    remove: (path) => run(() => disk.remove(path)),
    syncFolder: (path) => run(() => disk.syncFolder(path)),
    exists: (path) => run(() => disk.exists(path)),
    space: () => run(() => disk.space()),
  };
}

/** The index of a storage node, whose commits take as long as a disk does. */
export function indexOf(
  machine: Machine,
  factory: IndexBackendFactory,
  slowness: { millis: number },
): IndexBackendFactory {
  const run = inTime(machine, slowness);
  return {
    async open(check): Promise<IndexBackend> {
      const index = await factory.open(check);
      return {
        get: (key) => index.get(key),
        range: (gte, lt) => index.range(gte, lt),
        commit: (changes) => run(() => index.commit(changes)),
        close: () => index.close(),
      };
    },
    discard: () => factory.discard(),
    distrust: () => factory.distrust(),
  };
}

function inTime(machine: Machine, slowness: { millis: number }): Run {
  const { events, random } = machine;
  return (operation) =>
    new Promise((resolve, reject) => {
      const millis = 0.01 + (random.below(1_000) / 1_000) * slowness.millis;
      const answer = (begun: ReturnType<typeof operation>): void => {
        begun.then(resolve, reject);
      };
      if (random.below(2) === 0) {
        events.schedule(millis, () => {
          machine.enter(() => {
            answer(operation());
          });
        });
        return;
      }
      const begun = operation();
      begun.catch(() => undefined);
      events.schedule(millis, () => {
        machine.enter(() => {
          answer(begun);
        });
      });
    });
}
