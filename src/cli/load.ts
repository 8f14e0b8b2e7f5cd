/**
 * `dfs load`: a name server's folder out of a dump. Everything is made in a folder of its own inside, and moved to its place
 * when the whole dump has been read and verified; the journal last, without which nothing of the rest is served.
 */
import { mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../base/clock.ts";
import { FsError } from "../base/errno.ts";
import { openSystemDisk } from "../base/system-disk.ts";
import { loadDump } from "../metadata-store/load.ts";
import { openMetadataStore } from "../metadata-store/open.ts";
import { acceptLoss, acceptLossName } from "./accepted-loss.ts";
import { CommandFailure } from "./failure.ts";
import { loadingName } from "./half-loaded.ts";

/** In this order. */
const parts = ["epoch", acceptLossName, "lmdb", "snapshot", "journal"];

export async function runLoad(folder: string, input: AsyncIterable<Buffer> = process.stdin): Promise<void> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (readdirSync(folder).length > 0) throw new CommandFailure(`${folder} is not empty: give an empty folder`);
  const loading = join(folder, loadingName);
  try {
    const disk = await openSystemDisk(loading);
    const header = await loadDump(disk, () => openMetadataStore({ disk, clock: systemClock }), linesOf(input));
    // What storage nodes have copied of the journal before does not belong to this folder.
    await acceptLoss(disk);
    for (const part of parts) renameSync(join(loading, part), join(folder, part));
    rmSync(loading, { recursive: true });
    await (await openSystemDisk(folder)).syncFolder(".");
    console.log(
      `${folder} has the metadata of cluster ${header.cluster} as of epoch ${String(header.epoch)}, batch ${String(header.index)}`,
    );
  } catch (cause) {
    rmSync(loading, { recursive: true, force: true });
    if (cause instanceof FsError) throw new CommandFailure(`nothing was loaded: ${cause.message}`, { cause });
    throw cause;
  }
}

/** Longer than any line that `dfs dump` writes. */
const lineBytesMax = 1024 * 1024;

/** Lines end with a line feed and nothing else; what is behind the last one is a line, too. */
export async function* linesOf(input: AsyncIterable<Buffer>): AsyncGenerator<string, undefined> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of input) {
    const bytes = Buffer.concat([rest, chunk]);
    let start = 0;
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, start)) {
      yield bytes.toString("utf8", start, end);
      start = end + 1;
    }
    rest = bytes.subarray(start);
    if (rest.length > lineBytesMax) throw new FsError("EINVAL", "a line is too long for a dump of dfs");
  }
  if (rest.length > 0) yield rest.toString("utf8");
}
