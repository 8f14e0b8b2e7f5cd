/**
 * Contents: every extent belongs to one file or waits in the reclaim queue; extents do not overlap, and end within the
 * file; their lengths add up to what the inode says; inline extents have their bytes, and bytes have their extent.
 */
import type { Ino } from "../../base/ids.ts";
import { limits } from "../../base/limits.ts";
import { inoOfKey, keys, offsetOfKey } from "../../metadata-store/keys.ts";
import { decodeExtent, detachedFirst, type ExtentRecord, type InodeRecord } from "../../metadata-store/records.ts";
import type { Key } from "../../metadata-store/types.ts";
import { inlineBytesSum, inlineTableBytes } from "../namespace/inline-sum.ts";
import type { Inodes } from "./check-inodes.ts";
import { decoded, inodeOf, ownsContent } from "./records.ts";
import { detach, fixInlineSum, fixSize, fixUsed, keepContent, removeInline } from "./repair-contents.ts";
import { cutOverlapped, fitInline, removeEmpty } from "./repair-extents.ts";
import type { Check, Repair } from "./types.ts";
import { Cursor } from "./walk.ts";

export async function checkContents(check: Check, inodes: Inodes): Promise<void> {
  const extents = Cursor.open(check, "e");
  const inline: Inline = { cursor: Cursor.open(check, "n"), bytes: 0 };
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
      if (extent.kind === "inline") await matchInline(check, inline, { key, length: extent.length, content });
      checkExtent(check, content, offsetOfKey(key), extent);
    }
    await extents.next();
  }
  if (content !== undefined) finish(check, content);
  await matchInline(check, inline, undefined);
  const kept = inlineBytesSum(check.state);
  if (kept === inline.bytes) return;
  const text = `small content takes ${String(inline.bytes)} bytes, ${String(kept)} are counted`;
  check.report({ text, about: { kind: "none" }, repair: fixInlineSum(inline.bytes - kept) });
}

/** Bytes of inline extents, and what those before the cursor take. */
interface Inline {
  readonly cursor: Cursor;
  bytes: number;
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
    report({ text: `${at} overlaps the one before it`, about, ...repairOf(content, offset, cutOverlapped) });
  }
  if (extent.length === 0) report({ text: `${at} is empty`, about, ...repairOf(content, offset, removeEmpty) });
  if (extent.kind === "block" && extent.blockOffset + extent.length > limits.blockBytesMax) {
    report({ text: `${at} reaches beyond the largest block`, about });
  }
  content.used += extent.length;
  content.end = Math.max(content.end, offset + extent.length);
}

/** What belongs to no file goes with its content. */
function repairOf(
  { owner, number }: Content,
  offset: number,
  repair: (ino: Ino, content: Ino, offset: number) => Repair,
): { repair?: Repair } {
  return owner === undefined ? {} : { repair: repair(owner.ino, number, offset) };
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

/** Goes on to the bytes of this inline extent (undefined: to the end); what lies before has no extent. */
async function matchInline(
  check: Check,
  inline: Inline,
  extent: { readonly key: Key; readonly length: number; readonly content: Content } | undefined,
): Promise<void> {
  const place = extent?.key.slice(1);
  while (inline.cursor.current !== undefined) {
    const [key, value] = inline.cursor.current;
    const found = key.slice(1);
    if (place !== undefined && found > place) break;
    inline.bytes += inlineTableBytes(value.length);
    await inline.cursor.next();
    if (found === place) {
      if (extent === undefined || value.length === extent.length) return;
      const offset = offsetOfKey(key);
      const text = `the inline bytes at ${String(offset)} are ${String(value.length)}, not ${String(extent.length)}`;
      const about = { kind: "content", content: inoOfKey(key) } as const;
      check.report({ text, about, ...repairOf(extent.content, offset, fitInline) });
      return;
    }
    const text = `inline bytes at ${String(offsetOfKey(key))} of content ${String(inoOfKey(key))}, which no extent names`;
    check.report({ text, about: { kind: "content", content: inoOfKey(key) }, repair: removeInline(key) });
  }
  if (extent === undefined) return;
  const offset = offsetOfKey(extent.key);
  const text = `the inline bytes at ${String(offset)} are missing: that part cannot be read`;
  const about = { kind: "content", content: inoOfKey(extent.key) } as const;
  check.report({ text, about, ...repairOf(extent.content, offset, fitInline) });
}
