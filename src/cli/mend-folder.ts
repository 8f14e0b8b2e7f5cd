/**
 * A name server's folder that is damaged is made again from the storage nodes' copies, which have everything that was
 * acknowledged: beside the damaged one, in the folder `mending`, and put in its place when it has been opened once. A crash
 * at any moment leaves the damaged folder, or the new one, or an exchange that the next start finishes.
 */
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sleep, systemClock } from "../base/clock.ts";
import type { Disk } from "../base/disk.ts";
import { errnoOf, FsError } from "../base/errno.ts";
import type { Log } from "../base/log.ts";
import { openSystemDisk } from "../base/system-disk.ts";
import { openMetadataStore, type Store } from "../metadata-store/open.ts";
import { recoverFolder } from "../name-server/copies/recover.ts";
import type { JournalRegister } from "../protocol/journal-methods.ts";
import type { Surroundings } from "../rpc/open.ts";
import type { Address } from "../rpc/types.ts";
import { readKnownCopies } from "./known-copies.ts";
import { nodeConnections } from "./node-connections.ts";

const mendingName = "mending";
/** In it when all is there. */
const wholeName = "whole";
const parts = ["epoch", "lmdb", "snapshot", "journal"];
const retryMillis = 1_000;

export interface Mending {
  readonly disk: Disk;
  readonly server: string;
  readonly address: Address | null;
  readonly surroundings: Surroundings;
  readonly log: Log;
  /** It has to wait for storage nodes; told again with each new reason. */
  readonly onWaiting: (reason: string) => Promise<void>;
  readonly signal: AbortSignal;
}

/** Opens the folder's store, mended if need be. Rejects as `openMetadataStore` when there are no copies to mend it from. */
export async function openMended(options: Mending): Promise<Store> {
  const { disk, log } = options;
  await exchange(disk);
  const open = (): Promise<Store> => openMetadataStore({ disk, clock: systemClock, log });
  try {
    return await open();
  } catch (error) {
    if (!(error instanceof FsError) || error.errno !== "EIO") throw error;
    const known = await readKnownCopies(disk);
    if (known === undefined || known.members.length === 0) throw notMended(error, known);
    log.error(
      { err: error, members: known.members },
      "the metadata are damaged: they are fetched from the storage nodes",
    );
    await fetchAll(options, known);
    await exchange(disk);
    log.warn({}, "the metadata were mended: nothing that was acknowledged is missing");
    return open();
  }
}

function notMended(error: FsError, known: JournalRegister | undefined): FsError {
  const why =
    known === undefined
      ? "who has copies of it is not known any more: make an empty folder, and start with --recover --nodes and the addresses " +
        "of the storage nodes"
      : "no storage node has a copy of it";
  return new FsError("EIO", `${error.message.replace(/^EIO: /, "")}; ${why}`, { cause: error });
}

/** Tries until there are enough nodes. */
async function fetchAll(options: Mending, known: JournalRegister): Promise<void> {
  for (;;) {
    try {
      await fetchOnce(options, known);
      return;
    } catch (error) {
      // EAGAIN: nodes are missing; EIO: none answers, or what they sent is damaged.
      if (errnoOf(error) !== "EAGAIN" && errnoOf(error) !== "EIO") throw error;
      const reason = (error as Error).message.replace(/ Start them; or --accept-loss.*$/, "");
      await options.onWaiting(`the metadata are damaged, and are fetched from the storage nodes' copies: ${reason}`);
      await sleep(systemClock, retryMillis, options.signal);
    }
  }
}

async function fetchOnce({ disk, server, address, surroundings, log }: Mending, known: JournalRegister): Promise<void> {
  const folder = join(disk.root, mendingName);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { mode: 0o700 });
  const beside = await openSystemDisk(folder);
  await recoverFolder({
    ...{ disk: beside, server, address, log },
    nodes: known.nodes.map((node) => node.address),
    acceptLoss: false,
    isOwn: true,
    connect: nodeConnections(surroundings, server),
  });
  // Everything is read and verified.
  await (await openMetadataStore({ disk: beside, clock: systemClock, log })).close();
  writeFileSync(join(folder, wholeName), "");
  await beside.syncFolder("");
  await disk.syncFolder("");
}

/** Puts what was fetched in its place, if all of it was; else throws it away. */
async function exchange(disk: Disk): Promise<void> {
  const folder = join(disk.root, mendingName);
  if (!existsSync(folder)) return;
  if (existsSync(join(folder, wholeName))) {
    for (const part of parts) {
      if (!existsSync(join(folder, part))) continue;
      rmSync(join(disk.root, part), { recursive: true, force: true });
      renameSync(join(folder, part), join(disk.root, part));
    }
    await disk.syncFolder("");
  }
  rmSync(folder, { recursive: true });
  await disk.syncFolder("");
}
