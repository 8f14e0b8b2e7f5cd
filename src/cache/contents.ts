/** The content of all files of one client: see Contents in types.ts. Constructs and shares what they have in common. */
import { assert } from "../base/assert.ts";
import { sleep } from "../base/clock.ts";
import { FsError } from "../base/errno.ts";
import type { Ino } from "../base/ids.ts";
import { BlockCache } from "./block-cache.ts";
import { BlockSlots } from "./block-slots.ts";
import { ChunkMemory } from "./chunk-memory.ts";
import { Compactor } from "./compactor.ts";
import type { ContentContext, ContentOptions } from "./content-context.ts";
import { CachedFile, type ContentHost } from "./file-content.ts";
import { asError } from "./flush-errors.ts";
import { Flusher } from "./flusher.ts";
import { LayoutBudget } from "./layout-budget.ts";
import type { Contents } from "./types.ts";

const blocksAtOnceMax = 8;
const chunkBytesMax = 1024 * 1024;
/** Files that are flushed or asked for at once when all of them are. */
const filesAtOnceMax = 16;
/** How often, and how long after each other, data is sent that may not stay here. */
const lastFlushesMax = 5;
const lastFlushMillis = 1_000;

export function createContents(options: ContentOptions): Contents {
  const { limits, clock, log } = options;
  const memory = new ChunkMemory({
    bytesMax: limits.clientDirtyBytesMax,
    chunkBytesMax: Math.min(chunkBytesMax, limits.blockBytesMax),
  });
  const layouts = new LayoutBudget(Math.floor(limits.clientCleanBytesMax / 4));
  const blocks = new BlockCache(options.reader, limits.clientCleanBytesMax - layouts.bytesMax);
  const context: ContentContext = { ...options, memory, layouts, blocks, slots: new BlockSlots(blocksAtOnceMax) };
  const flusher = new Flusher({ clock, log, memory, ageMillis: limits.clientDirtyAgeMillis });
  const compactor = new Compactor(context);
  const files = new Map<Ino, CachedFile>();

  const host: ContentHost = {
    dirtied: (file) => {
      flusher.dirtied(file);
    },
    flushFailed: (file, error) => {
      flusher.failed(file, error);
    },
    flushSoon: (file) => {
      flusher.soon(file);
    },
    written: () => {
      if (memory.isScarce) flusher.relieve();
    },
    released: () => {
      flusher.released();
    },
    committed: (file, extents) => {
      if (file.mayBuffer) compactor.committed(file, extents);
    },
  };

  function lose(file: CachedFile, error: Error): void {
    flusher.forget(file);
    compactor.forget(file);
    file.lose(error);
  }

  /** Of a million open files few have anything to flush; asking each would keep everything else waiting for seconds. */
  const unquiet = (): CachedFile[] => [...files.values()].filter((file) => !file.isQuiet);

  /** Nothing may stay here: what cannot be sent within a few tries is lost. */
  async function flushOrLose(file: CachedFile): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await file.flush();
        return;
      } catch (error) {
        if (!file.isDirty) return;
        if (attempt === lastFlushesMax) {
          log.error({ ino: file.ino, error }, "unwritten data is lost: it had to be flushed and could not be");
          lose(file, asError(error));
          return;
        }
        await sleep(clock, lastFlushMillis);
      }
    }
  }

  return {
    open(owner, attributes) {
      const known = files.get(owner.ino);
      if (known !== undefined) return known;
      const file = new CachedFile(context, host, owner, attributes);
      files.set(owner.ino, file);
      return file;
    },
    close(ino) {
      const file = files.get(ino);
      if (file === undefined) return;
      assert(!file.isDirty, `the content of inode ${String(ino)} was closed with unwritten data`);
      files.delete(ino);
      flusher.forget(file);
      compactor.forget(file);
      file.close();
    },
    async flushAll() {
      let first: Error | undefined;
      await eachOf(unquiet(), async (file) => {
        try {
          await file.flush();
        } catch (error) {
          first ??= asError(error);
        }
      });
      if (first !== undefined) throw first;
    },
    async flushForRecall(ino) {
      const file = files.get(ino);
      if (file?.isDirty === true) await flushOrLose(file);
    },
    isHeld: (ino) => files.get(ino)?.isHeld === true,
    forget(ino) {
      files.get(ino)?.layout.forget();
    },
    lose(ino) {
      const file = files.get(ino);
      if (file !== undefined) lose(file, new FsError("EIO", `inode ${String(ino)}: its lease was lost`));
    },
    sessionLost() {
      const error = new FsError("EIO", "the session was lost, and with it what was not written yet");
      for (const file of files.values()) lose(file, error);
    },
    statistics: {
      get dirtyBytes() {
        return memory.inUseBytes;
      },
      get pooledBytes() {
        return memory.heldBytes - memory.inUseBytes;
      },
      get cleanBytes() {
        return blocks.bytes + layouts.bytes;
      },
    },
    async shutdown() {
      await eachOf(unquiet(), flushOrLose);
      flusher.close();
      memory.refuseWaiters(new FsError("EIO", "shutting down"));
      await compactor.close();
      for (const file of files.values()) file.close();
      blocks.clear();
    },
  };
}

/** Runs over all items, some at once. `run` does not reject. */
async function eachOf<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  const waiting = [...items];
  const worker = async (): Promise<void> => {
    for (let item = waiting.pop(); item !== undefined; item = waiting.pop()) await run(item);
  };
  await Promise.all(Array.from({ length: Math.min(filesAtOnceMax, waiting.length) }, worker));
}
