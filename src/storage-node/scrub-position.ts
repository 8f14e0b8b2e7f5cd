/**
 * How far the scrub is, in the file `scrub.json` of the node's folder: replaced as a whole now and then, with a checksum. It is
 * a convenience: lost or damaged, the scrub begins again, and counts from zero.
 *
 *   one line of JSON: format (1), content (JSON of `ScrubPosition`, as a text), crc (of that text, CRC-32)
 */
import { z } from "zod";
import { checksum } from "../base/checksum.ts";
import type { Disk } from "../base/disk.ts";
import { FsError } from "../base/errno.ts";
import type { Log } from "../base/log.ts";
import { replaceFile } from "../base/replace-file.ts";

const path = "scrub.json";
const format = 1;
const count = z.number().int().nonnegative();

const position = z.object({
  /** The next block is the first of at least that number in that group, or in a later group. */
  group: count,
  number: count,
  /** Of this pass. */
  blocks: count,
  bytes: count,
  /** Milliseconds since 1970: when this pass began, and when the last whole one ended. */
  startedMillis: count.nullable(),
  lastPassMillis: count.nullable(),
  /** Damaged blocks, ever: found; and whole again. */
  found: count,
  repaired: count,
  /** Passes that were ordered, ever, and how many of them are done. */
  ordered: count,
  orderedDone: count,
});
export type ScrubPosition = z.infer<typeof position>;

export const scrubBeginning: ScrubPosition = {
  group: 0,
  number: 0,
  blocks: 0,
  bytes: 0,
  startedMillis: null,
  lastPassMillis: null,
  found: 0,
  repaired: 0,
  ordered: 0,
  orderedDone: 0,
};

/** Never rejects: what cannot be read is as good as lost. */
export async function loadScrubPosition(disk: Disk, log: Log): Promise<ScrubPosition> {
  try {
    return (await disk.exists(path)) ? await load(disk) : scrubBeginning;
  } catch (error) {
    log.warn({ err: error }, "the scrub's position cannot be read: it begins again");
    return scrubBeginning;
  }
}

async function load(disk: Disk): Promise<ScrubPosition> {
  const file = await disk.open(path, "open");
  try {
    const bytes = Buffer.alloc(await file.size());
    await file.read(bytes, 0);
    const outer = z
      .object({ format: z.literal(format), content: z.string(), crc: count })
      .parse(JSON.parse(bytes.toString("utf8")));
    if (checksum(Buffer.from(outer.content)) !== outer.crc) throw new FsError("EIO", `${path} fails its checksum`);
    return position.parse(JSON.parse(outer.content));
  } finally {
    await file.close();
  }
}

export async function saveScrubPosition(disk: Disk, now: ScrubPosition): Promise<void> {
  const content = JSON.stringify(now);
  const crc = checksum(Buffer.from(content));
  await replaceFile(disk, path, [Buffer.from(`${JSON.stringify({ format, content, crc })}\n`)]);
}
