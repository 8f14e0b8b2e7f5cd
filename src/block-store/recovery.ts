/**
 * Brings index and segments together at start.
 *
 * The segments are the truth. An index that is behind is completed from the position it knows; one that is lost,
 * damaged or contradicts the files is built again from all segments. In the newest segment, what lies behind the
 * position was perhaps never durable, though it can be read now (a failed fsync forgets dirty pages): its whole records
 * are written once more over themselves and synced, torn ones are struck out and the torn end is cut off. Older
 * segments were durable as a whole before the newest began: their payload is not read.
 */
import type { DiskFile } from "../base/disk.ts";
import { FsError } from "../base/errno.ts";
import type { Log } from "../base/log.ts";
import { BlockIndex } from "./block-index.ts";
import type { IndexBackend, IndexBackendFactory } from "./index-backend.ts";
import { checkIndex } from "./index-check.ts";
import { IndexDamaged } from "./index-codec.ts";
import type { NodeIdentity } from "./identity.ts";
import { decodeFileHeader, fileHeaderBytes, headBytes, pageBytes, recordBytes, recordBytesMax } from "./record.ts";
import { isWhole, scanSegment } from "./scan.ts";
import { cutShort, segmentName, type SegmentFiles } from "./segment-files.ts";

export interface Recovered {
  readonly index: BlockIndex;
  /** The newest segment, which may go on growing. */
  readonly resume: { readonly segment: number; readonly endBytes: number } | undefined;
  readonly nextSegment: number;
}

interface Parts {
  readonly files: SegmentFiles;
  readonly backend: IndexBackendFactory;
  readonly identity: NodeIdentity;
  readonly log: Log;
}

export async function recover(parts: Parts): Promise<Recovered> {
  const sizes = new Map<number, number>();
  for (const segment of await parts.files.list()) {
    const size = await checkedSize(parts, segment);
    if (size !== undefined) sizes.set(segment, size);
  }
  const index = await openIndex(parts, sizes);
  try {
    return await complete(parts, index, sizes);
  } catch (error) {
    await index.close();
    throw error;
  }
}

async function openIndex(parts: Parts, sizes: ReadonlyMap<number, number>): Promise<BlockIndex> {
  const { backend, identity, log } = parts;
  let opened: IndexBackend | undefined;
  try {
    opened = await backend.open(checkIndex);
    const index = BlockIndex.load(opened, identity.node);
    checkAgainstFiles(index, sizes);
    return index;
  } catch (error) {
    log.warn({ err: error }, "the block index cannot be used: building it again from the segments");
    await opened?.close();
    await backend.discard();
    return BlockIndex.load(await backend.open(checkIndex), identity.node);
  }
}

/** Throws IndexDamaged. */
function checkAgainstFiles(index: BlockIndex, sizes: ReadonlyMap<number, number>): void {
  for (const { segment, endBytes } of index.segments.values()) {
    const size = sizes.get(segment);
    if (size === undefined) throw new IndexDamaged(`the index knows ${segmentName(segment)}, which is not there`);
    if (size < endBytes) throw new IndexDamaged(`${segmentName(segment)} is shorter than the index knows`);
  }
}

async function complete(parts: Parts, index: BlockIndex, sizes: ReadonlyMap<number, number>): Promise<Recovered> {
  const known = index.position;
  const newest = Math.max(0, ...sizes.keys());
  for (const [segment, size] of sizes) {
    if (!index.segments.has(segment) && (segment <= known.segment || size <= fileHeaderBytes)) {
      // Its removal was committed and its unlink not reached; or it was begun, perhaps not whole, and never used.
      await parts.files.remove(segment);
      continue;
    }
    if (!index.segments.has(segment)) index.addSegment(segment);
    if (segment < known.segment) continue;
    const from = segment === known.segment ? known.offset : fileHeaderBytes;
    if (from >= size) continue;
    const range = { segment, from, end: size };
    const end = segment === newest ? await addTail(parts, index, range) : await addAll(parts, index, range);
    index.setSegmentEnd(segment, end);
    index.advance({ segment, offset: end });
  }
  await parts.files.syncNames();
  await index.commit();
  const endBytes = index.segments.get(newest)?.endBytes;
  return {
    index,
    nextSegment: Math.max(newest, known.segment) + 1,
    resume: endBytes === undefined ? undefined : { segment: newest, endBytes },
  };
}

interface Range {
  readonly segment: number;
  readonly from: number;
  readonly end: number;
}

async function addAll({ files, identity: { node }, log }: Parts, index: BlockIndex, range: Range): Promise<number> {
  for await (const found of scanSegment(files, { node, ...range })) {
    if (found.kind === "record") index.addRecord(found.head.block, found.head.location, true);
    else log.warn({ segment: range.segment, ...found }, "skipped damage in a segment");
  }
  return range.end;
}

/** Returns where the last whole record ends. */
async function addTail({ files, identity: { node }, log }: Parts, index: BlockIndex, range: Range): Promise<number> {
  const { segment, from } = range;
  const memory = Buffer.allocUnsafe(recordBytesMax);
  const file = await files.modify(segment);
  let end = from;
  let records = 0;
  try {
    // A segment that the index does not know: its beginning was perhaps not durable either.
    if (from === fileHeaderBytes) await rewrite(file, segment, memory.subarray(0, fileHeaderBytes), 0);
    for await (const found of scanSegment(files, { node, ...range })) {
      if (found.kind === "damage") {
        log.info({ segment, ...found }, "skipped an unfinished write");
        continue;
      }
      const { block, location, checksums } = found.head;
      const record = memory.subarray(0, recordBytes(location.length));
      await readWhole(file, segment, record, location.offset);
      const payload = record.subarray(headBytes(location.length)).subarray(0, location.length);
      if (isWhole({ block, checksums, location }, payload)) {
        await file.write([record], location.offset);
        index.addRecord(block, location, true);
        end = location.offset + record.length;
        records += 1;
      } else {
        // A later start must not take it for a record of an older, durable segment.
        await file.write([Buffer.alloc(pageBytes)], location.offset);
        log.info({ segment, offset: location.offset }, "struck out a record whose payload was not completely written");
      }
    }
    await file.truncate(end);
    await file.sync();
  } finally {
    await file.close();
  }
  log.info({ segment, from, end, records }, "completed the block index from the newest segment");
  return end;
}

async function rewrite(file: DiskFile, segment: number, memory: Buffer, offset: number): Promise<void> {
  await readWhole(file, segment, memory, offset);
  await file.write([memory], offset);
}

async function readWhole(file: DiskFile, segment: number, into: Buffer, offset: number): Promise<void> {
  if ((await file.read(into, offset)) < into.length) throw cutShort(segment, offset);
}

/**
 * Rejects when the segment is another node's or cluster's. Undefined: a file whose creation was not finished; it is
 * removed.
 */
async function checkedSize({ files, identity, log }: Parts, segment: number): Promise<number | undefined> {
  const header = Buffer.alloc(fileHeaderBytes);
  const size = await files.size(segment);
  const found = decodeFileHeader(header.subarray(0, await files.read(segment, header, 0)));
  if (found === undefined) {
    log.warn({ file: segmentName(segment), size }, "a segment's file header is damaged");
    if (size > fileHeaderBytes) return size;
    await files.remove(segment);
    return undefined;
  }
  if (found.node !== identity.node || found.segment !== segment || found.cluster !== identity.cluster) {
    throw new FsError(
      "EPERM",
      `${segmentName(segment)} is segment ${String(found.segment)} of node ${found.node} in cluster ${found.cluster}: ` +
        `it does not belong into the folder of node ${identity.node}`,
    );
  }
  return size;
}
