/**
 * Records what a store does to its disk, and replays it up to any moment, as a loss of power at that moment leaves it: what
 * was synced is there; of the rest, and of what was under way, each sector and each change of a folder is there or not.
 *
 * A sync makes durable what had ended when it began, and counts once it has ended; everything else counts from its end.
 */
import type { Disk, DiskFile } from "../../src/base/disk.ts";
import type { Random } from "../../src/base/random.ts";
import type { IndexBackendFactory, IndexChange } from "../../src/block-store/index-backend.ts";
import { memoryBackend } from "../../src/block-store/memory-backend.ts";
import { FaultyDisk } from "./faulty-disk.ts";

type What =
  | { readonly type: "create"; readonly path: string; readonly file: number }
  | {
      readonly type: "write";
      readonly file: number;
      readonly bytes: Buffer;
      readonly at: number;
      readonly isDurable: boolean;
    }
  | { readonly type: "truncate"; readonly file: number; readonly bytes: number }
  | { readonly type: "sync"; readonly file: number }
  | { readonly type: "makeFolder"; readonly path: string }
  | { readonly type: "rename"; readonly from: string; readonly to: string }
  | { readonly type: "remove"; readonly path: string }
  | { readonly type: "syncFolder"; readonly path: string }
  | { readonly type: "commit"; readonly changes: readonly IndexChange[] };

interface Recorded {
  readonly what: What;
  readonly begun: number;
  ended: number;
}

export class Recorder {
  readonly disk: Disk;
  /** The moments so far: every beginning and every end of an operation is one. */
  moment = 0;
  readonly #recorded: Recorded[] = [];
  /** Files by the path that they have now. */
  readonly #files = new Map<string, number>();
  #nextFile = 0;

  constructor(disk: Disk) {
    this.disk = this.#recording(disk);
  }

  /** The index of a block store: its commits are operations, too. */
  index(factory: IndexBackendFactory): IndexBackendFactory {
    return {
      open: async (check) => {
        const index = await factory.open(check);
        return {
          get: (key) => index.get(key),
          range: (gte, lt) => index.range(gte, lt),
          commit: (changes) => {
            const copy = changes.map(([key, value]) => [Buffer.from(key), value && Buffer.from(value)] as const);
            return this.#during({ type: "commit", changes: copy }, () => index.commit(changes));
          },
          close: () => index.close(),
        };
      },
      discard: () => factory.discard(),
      distrust: () => factory.distrust(),
    };
  }

  count(type: What["type"]): number {
    return this.#recorded.filter(({ what }) => what.type === type).length;
  }

  /** Disk and index as they are after the power was lost at that moment. */
  async replay(moment: number, random: Random): Promise<{ disk: FaultyDisk; index: ReturnType<typeof memoryBackend> }> {
    const disk = new FaultyDisk(random);
    const index = memoryBackend();
    const committed = await index.open(() => undefined);
    const files = new Map<number, DiskFile>();
    const happened = this.#recorded.filter(
      ({ begun, ended }) => ended <= moment || (begun <= moment && random.below(2) === 0),
    );
    happened.sort((a, b) => placeOf(a) - placeOf(b));
    for (const { what, ended } of happened) {
      if (what.type === "commit") await committed.commit(what.changes);
      else await apply(disk, files, what, ended <= moment);
    }
    await committed.close();
    return { disk: disk.crash(), index };
  }

  #recording(disk: Disk): Disk {
    const fileOf = (file: DiskFile, id: number, isDurable: boolean): DiskFile => ({
      read: (into, position) => file.read(into, position),
      write: (pieces, position) =>
        this.#during({ type: "write", file: id, bytes: Buffer.concat(pieces), at: position, isDurable }, () =>
          file.write(pieces, position),
        ),
      sync: () => this.#during({ type: "sync", file: id }, () => file.sync()),
      truncate: (bytes) => this.#during({ type: "truncate", file: id, bytes }, () => file.truncate(bytes)),
      size: () => file.size(),
      close: () => file.close(),
    });
    return {
      root: disk.root,
      open: async (path, mode, options) => {
        const isDurable = options?.synchronous === true;
        if (mode === "open") return fileOf(await disk.open(path, mode, options), this.#fileAt(path), isDurable);
        const id = this.#nextFile++;
        const opened = await this.#during({ type: "create", path, file: id }, () => disk.open(path, mode, options));
        this.#files.set(path, id);
        return fileOf(opened, id, isDurable);
      },
      list: (path) => disk.list(path),
      makeFolder: (path) => this.#during({ type: "makeFolder", path }, () => disk.makeFolder(path)),
      rename: async (from, to) => {
        await this.#during({ type: "rename", from, to }, () => disk.rename(from, to));
        this.#files.set(to, this.#fileAt(from));
        this.#files.delete(from);
      },
      remove: async (path) => {
        await this.#during({ type: "remove", path }, () => disk.remove(path));
        this.#files.delete(path);
      },
      syncFolder: (path) => this.#during({ type: "syncFolder", path }, () => disk.syncFolder(path)),
      exists: (path) => disk.exists(path),
      space: () => disk.space(),
    };
  }

  #fileAt(path: string): number {
    const id = this.#files.get(path);
    if (id === undefined) throw new Error(`${path} was there before the recording began`);
    return id;
  }

  async #during<T>(what: What, run: () => Promise<T>): Promise<T> {
    const recorded = { what, begun: ++this.moment, ended: Infinity };
    this.#recorded.push(recorded);
    const result = await run();
    recorded.ended = ++this.moment;
    return result;
  }
}

function placeOf({ what, begun, ended }: Recorded): number {
  const counts = what.type === "sync" || what.type === "syncFolder" ? begun : ended;
  // What was under way comes last, in the order in which it was begun.
  return counts === Infinity ? Number.MAX_SAFE_INTEGER / 2 + begun : counts;
}

/** @param hasEnded whether a write that is durable when it ends is so */
async function apply(
  disk: FaultyDisk,
  files: Map<number, DiskFile>,
  what: Exclude<What, { type: "commit" }>,
  hasEnded: boolean,
): Promise<void> {
  switch (what.type) {
    case "create":
      files.set(what.file, await disk.open(what.path, "create"));
      return;
    case "write":
      await files.get(what.file)?.write([what.bytes], what.at);
      if (what.isDurable && hasEnded) await files.get(what.file)?.sync();
      return;
    case "truncate":
      return files.get(what.file)?.truncate(what.bytes);
    case "sync":
      return files.get(what.file)?.sync();
    case "makeFolder":
      return disk.makeFolder(what.path);
    case "rename":
      return disk.rename(what.from, what.to);
    case "remove":
      return disk.remove(what.path);
    case "syncFolder":
      return disk.syncFolder(what.path);
  }
}
