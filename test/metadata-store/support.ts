/** Stores to test: the same tests run on both kinds. */
import { createHash } from "node:crypto";
import type { ExecutionContext } from "ava";
import type { Disk } from "../../src/base/disk.ts";
import { seededRandom } from "../../src/base/random.ts";
import { openSystemDisk } from "../../src/base/system-disk.ts";
import { openMemoryStore, openMetadataStore, type Store, type StoreOptions } from "../../src/metadata-store/open.ts";
import type { MetadataReader } from "../../src/metadata-store/types.ts";
import { FaultyDisk } from "../support/faulty-disk.ts";
import { SimulatedClock } from "../support/simulated-clock.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

export interface StoreKind {
  readonly name: string;
  readonly open: (options: StoreOptions) => Promise<Store>;
  readonly disk: (t: ExecutionContext) => Promise<Disk>;
}

export const storeKinds: readonly StoreKind[] = [
  {
    name: "memory",
    open: openMemoryStore,
    disk: () => Promise.resolve(new FaultyDisk(seededRandom(1))),
  },
  {
    name: "LMDB",
    open: openMetadataStore,
    disk: async (t) => openSystemDisk(await temporaryFolder(t)),
  },
];

export const smallOptions = {
  clock: new SimulatedClock(),
  journalFileBytes: 64 * 1024,
  lmdbMapBytes: 256 * 1024 * 1024,
} as const;

export function text(value: string): Buffer {
  return Buffer.from(value, "latin1");
}

/** Everything, as text. */
export function contentOf(reader: MetadataReader, reverse = false): [string, string][] {
  const pairs = reader.range({ gte: "\u0000", lt: "\u00ff\u00ff", reverse });
  return [...pairs].map(([key, value]) => [key, value.toString("latin1")]);
}

/** Of everything but table x, as a walk gives it and as searches do. */
export function digestOf(reader: MetadataReader): string {
  const hash = createHash("sha256");
  for (const [key, value] of reader.range({ gte: "\u0000", lt: "\u00ff\u00ff" })) {
    if (!key.startsWith("x"))
      hash
        .update(key)
        .update(value)
        .update(reader.get(key) ?? "missing");
  }
  return hash.digest("hex");
}
