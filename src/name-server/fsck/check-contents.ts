/**
 * Contents: every extent belongs to one file or waits in the reclaim queue; extents do not overlap, and end within the
 * file; their lengths add up to what the inode says; inline extents have their bytes, and bytes have their extent.
 */
import type { Ino } from "../../base/ids.ts";
import { limits } from "../../base/limits.ts";
import { inoOfKey, keys, offsetOfKey } from "../../metadata-store/keys.ts";
import { decodeExtent, detachedFirst, type ExtentRecord, type InodeRecord } from "../../metadata-store/records.ts";
import type { Inodes } from "./check-inodes.ts";
import { decoded, inodeOf, ownsContent } from "./records.ts";
import { detach, fixSize, fixUsed, keepContent, removeInline } from "./repair-contents.ts";
import type { Check } from "./types.ts";
import { Cursor } from "./walk.ts";

export async function checkContents(check: Check, inodes: Inodes): Promise<void> {
  const extents = Cursor.open(check, "e");
  const inline = Cursor.open(check, "n");
  let content: Content | undefined;
  while (extents.current !== undefined) {
    const [key, value] = extents.current;
    const number = inoOfKey(key);
    if (content?.number !== number) {
      if (content !== undefined) finish(check, content);
      content = begin(check, number, inodes);
    }
    check.counts.extents++;
    const extent = decoded(check, key, () => decodeExtent(value));
    if (extent !== undefined) {
      if (extent.kind === "inline") await matchInline(check, inline, key.slice(1), extent.length);
      checkExtent(check, content, offsetOfKey(key), extent);
    }
    await extents.next();
  }
  if (content !== undefined) finish(check, content);
  await matchInline(check, inline, undefined, 0);
}

interface Content {
  readonly number: Ino;
  readonly owner: { readonly ino: Ino; readonly record: InodeRecord } | undefined;
  end: number;
  used: number;
}

function begin(check: Check, number: Ino, { moved, isWhole }: Inodes): Content {
  const { state, report } = check;
  const ino = moved.get(number) ?? number;
  const record = inodeOf(state, ino);
  const owner = ownsContent(record, number) ? { ino, record } : undefined;
  const isDetached = state.get(keys.reclaim(detachedFirst + number)) !== undefined;
  if (owner !== undefined && isDetached) {
    const text = `the content of inode ${String(ino)} is in use, and is queued for removal`;
    report({ text, about: { kind: "inode", ino }, repair: keepContent(ino, number) });
  } else if (owner === undefined && !isDetached && isWhole) {
    const text = `extents of content ${String(number)}, which belongs to no file`;
    report({ text, about: { kind: "none" }, repair: detach(number) });
  }
  return { number, owner, end: 0, used: 0 };
}

function checkExtent({ report }: Check, content: Content, offset: number, extent: ExtentRecord): void {
  const about = { kind: "content", content: content.number } as const;
  const at = `the extent at ${String(offset)}`;
  if (offset < content.end) {
    report({ text: `${at} overlaps the one before it: copy the file, and remove it`, about });
  }
  if (extent.length === 0) report({ text: `${at} is empty`, about });
  if (extent.kind === "block" && extent.blockOffset + extent.length > limits.blockBytesMax) {
    report({ text: `${at} reaches beyond the largest block`, about });
  }
  content.used += extent.length;
  content.end = Math.max(content.end, offset + extent.length);
}

function finish({ report }: Check, { owner, number, end, used }: Content): void {
  if (owner === undefined) return;
  const { ino, record } = owner;
  const about = { kind: "inode", ino } as const;
  const at = `inode ${String(ino)}`;
  if (end > record.size) {
    const text = `${at} has ${String(record.size)} bytes, and extents up to ${String(end)}`;
    report({ text, about, repair: fixSize(ino, number) });
  }
  if (used !== record.bytesUsed) {
    const text = `${at} has ${String(record.bytesUsed)} bytes in use, its extents add up to ${String(used)}`;
    report({ text, about, repair: fixUsed(ino, number) });
  }
}

/** Goes on to the bytes of the inline extent at this place (undefined: to the end); what lies before has no extent. */
async function matchInline(check: Check, inline: Cursor, place: string | undefined, length: number): Promise<void> {
  while (inline.current !== undefined) {
    const [key, value] = inline.current;
    const found = key.slice(1);
    if (place !== undefined && found > place) break;
    await inline.next();
    if (found === place) {
      if (value.length === length) return;
      const text = `the inline bytes at ${String(offsetOfKey(key))} are ${String(value.length)}, not ${String(length)}`;
      check.report({ text, about: { kind: "content", content: inoOfKey(key) } });
      return;
    }
    const text = `inline bytes at ${String(offsetOfKey(key))} of content ${String(inoOfKey(key))}, which no extent names`;
    check.report({ text, about: { kind: "content", content: inoOfKey(key) }, repair: removeInline(key) });
  }
  if (place === undefined) return;
  const content = inoOfKey("e" + place);
  const text = `the inline bytes at ${String(offsetOfKey("e" + place))} are missing: that part cannot be read`;
  check.report({ text, about: { kind: "content", content } });
}
