/** Small files of JSON with a checksum over their content: `{"format", "crc", "content": "..."}` and a line feed. */
import { checksum } from "../base/checksum.ts";
import type { Disk } from "../base/disk.ts";
import { FsError } from "../base/errno.ts";
import { replaceInPlace, settleReplaced } from "../base/replace-file.ts";

const format = 1;

/** Durable when it resolves; the file is the old or the new one at any moment. */
export function writeCheckedJson(disk: Disk, path: string, value: unknown): Promise<void> {
  const content = JSON.stringify(value);
  const text = JSON.stringify({ format, crc: checksum(Buffer.from(content)), content });
  return replaceInPlace(disk, path, Buffer.from(`${text}\n`));
}

/** Undefined: there is none. EIO: it is damaged; EOPNOTSUPP: of an unknown format. */
export async function readCheckedJson(disk: Disk, path: string): Promise<unknown> {
  await settleReplaced(disk, path);
  if (!(await disk.exists(path))) return undefined;
  const file = await disk.open(path, "open");
  try {
    const bytes = Buffer.alloc(await file.size());
    await file.read(bytes, 0);
    return decode(bytes);
  } finally {
    await file.close();
  }
}

function decode(bytes: Buffer): unknown {
  let outer: Record<string, unknown>;
  try {
    outer = JSON.parse(bytes.toString("utf8")) as Record<string, unknown>;
  } catch (cause) {
    throw new FsError("EIO", "it is not what was written", { cause });
  }
  const { content } = outer;
  if (typeof content !== "string" || checksum(Buffer.from(content)) !== outer["crc"])
    throw new FsError("EIO", "its checksum is wrong");
  if (outer["format"] !== format) throw new FsError("EOPNOTSUPP", "it has an unknown format: start a newer version");
  return JSON.parse(content);
}
