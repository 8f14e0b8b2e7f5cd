/** How much room there is: on the storage nodes for content, on the name server's own disk for metadata. */
import type { Disk } from "../base/disk.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import type { Space } from "./namespace/index.ts";
import type { Nodes } from "./nodes.ts";
import { contentBytes, wholeBlockBytes } from "./space.ts";

export interface Capacity {
  /** As of the last `refresh`: cheap. */
  space(): Space;
  /** Takes over what the nodes have said. */
  refresh(): void;
  /** Looks at the name server's own disk. */
  probe(): Promise<void>;
}

/** The part of the metadata's disk that is kept free. */
const reserveShare = 0.05;
/** What a small file needs in journal and store, roughly: to tell how many more fit. */
const bytesPerFile = 1_024;
/** Shown where the disk is not known. */
const filesFreeUnknown = 2 ** 40;

export function createCapacity(parts: {
  nodes: Nodes;
  replicas: number;
  disk: Disk["space"] | undefined;
  reserveBytes: number | undefined;
  log: Log;
}): Capacity {
  const { nodes, replicas, disk, reserveBytes, log } = parts;
  let metadata = { filesFree: filesFreeUnknown, metadataFull: false };
  let space: Space = { bytesTotal: 0, bytesFree: 0, ...metadata };

  function refresh(): void {
    const all = nodes.all();
    const total = all.map(({ record }) => record.capacityBytes);
    const free = all.map(({ state, freeBytes }) => (state === "up" ? wholeBlockBytes(freeBytes) : 0));
    space = { bytesTotal: contentBytes(total, replicas), bytesFree: contentBytes(free, replicas), ...metadata };
  }

  return {
    space: () => space,
    refresh,
    async probe() {
      if (disk === undefined) return;
      const { freeBytes, totalBytes } = await disk();
      const reserve = reserveBytes ?? Math.max(limits.nameServerReserveBytes, Math.floor(totalBytes * reserveShare));
      const left = Math.max(0, freeBytes - reserve);
      const metadataFull = left === 0;
      if (metadataFull && !metadata.metadataFull) {
        log.warn({ freeBytes, reserve }, "the name server's disk is down to its reserve: nothing may grow");
      }
      metadata = { filesFree: Math.floor(left / bytesPerFile), metadataFull };
      refresh();
    },
  };
}
