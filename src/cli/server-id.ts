/**
 * The id of a name server's folder, in its file `server`: made with the folder, and again by a recovery. An epoch belongs
 * to one server; storage nodes tell by it a server that was restarted from another one that took over. With a CRC-32.
 */
import { checksum } from "../base/checksum.ts";
import type { Disk } from "../base/disk.ts";
import { FsError } from "../base/errno.ts";
import { randomId, type Random } from "../base/random.ts";
import { replaceFile } from "../base/replace-file.ts";
import { readKnownCopies } from "./known-copies.ts";

const path = "server";

/** A damaged or missing one is taken from what the folder knows of the journal's copies. */
export async function readServerId(disk: Disk, random: Random): Promise<string> {
  const id = await read(disk);
  if (typeof id === "string") return id;
  const known = await readKnownCopies(disk);
  if (known !== undefined) {
    await write(disk, known.server);
    return known.server;
  }
  if (id === undefined) return makeServerId(disk, random);
  throw new FsError(
    "EIO",
    `${disk.root}/${path} is damaged: make an empty folder, and start with --recover --nodes and the storage nodes' addresses`,
  );
}

export async function makeServerId(disk: Disk, random: Random): Promise<string> {
  const id = randomId(random);
  await write(disk, id);
  return id;
}

/** Undefined: there is none; null: it is damaged. */
async function read(disk: Disk): Promise<string | null | undefined> {
  if (!(await disk.exists(path))) return undefined;
  const file = await disk.open(path, "open");
  try {
    const bytes = Buffer.alloc(await file.size());
    await file.read(bytes, 0);
    const [, id = "", crc = ""] = /^([0-9a-f]{16}) ([0-9a-f]{8})\n$/.exec(bytes.toString("latin1")) ?? [];
    return id !== "" && crc === checksumText(id) ? id : null;
  } finally {
    await file.close();
  }
}

function write(disk: Disk, id: string): Promise<void> {
  return replaceFile(disk, path, [Buffer.from(`${id} ${checksumText(id)}\n`)]);
}

function checksumText(id: string): string {
  return checksum(Buffer.from(id)).toString(16).padStart(8, "0");
}
