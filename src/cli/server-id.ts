/**
 * The id of a name server's folder, in its file `server`: made with the folder, and again by a recovery. An epoch belongs
 * to one server; storage nodes tell by it a server that was restarted from another one that took over.
 */
import type { Disk } from "../base/disk.ts";
import { FsError } from "../base/errno.ts";
import { randomId, type Random } from "../base/random.ts";
import { replaceFile } from "../journal/replace-file.ts";

const path = "server";

export async function readServerId(disk: Disk, random: Random): Promise<string> {
  if (!(await disk.exists(path))) return makeServerId(disk, random);
  const file = await disk.open(path, "open");
  try {
    const bytes = Buffer.alloc(await file.size());
    await file.read(bytes, 0);
    const id = bytes.toString("latin1").trim();
    if (/^[0-9a-f]{16}$/.test(id)) return id;
  } finally {
    await file.close();
  }
  throw new FsError(
    "EIO",
    `${disk.root}/${path} is damaged: make an empty folder, and start with --recover --nodes and the storage nodes' addresses`,
  );
}

export async function makeServerId(disk: Disk, random: Random): Promise<string> {
  const id = randomId(random);
  await replaceFile(disk, path, [Buffer.from(`${id}\n`)]);
  return id;
}
