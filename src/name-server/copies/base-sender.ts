/**
 * Sends a base: the newest snapshot, in pieces, with its checksum as a whole. That is of the bytes that were verified: what
 * rots between then and the sending is refused by the node.
 */
import { FsError } from "../../base/errno.ts";
import { limits } from "../../base/limits.ts";
import { splitRecords } from "../../journal/journal-record.ts";
import { origin, type Position } from "../../journal/position.ts";
import type { JournalSource } from "../../metadata-store/types.ts";
import type { Claim } from "../../protocol/journal-methods.ts";
import type { CopyPeer } from "./types.ts";

type Snapshot = NonNullable<Awaited<ReturnType<JournalSource["openSnapshot"]>>>;

/** Begins the copy anew on the newest snapshot, or at the origin. Resolves with where its records have to go on. */
export async function sendNewCopy(peer: CopyPeer, claim: Claim, source: JournalSource): Promise<Position> {
  const snapshot = await source.openSnapshot(0);
  if (snapshot === undefined) {
    const start = { first: 1, predecessor: 0 };
    await peer.call("putJournalBase", { ...claim, base: origin, bytes: 0, crc: 0, offset: 0, start });
    return origin;
  }
  try {
    const { position } = snapshot;
    // The record that has the next batch may begin before the base's end: the copy begins with all of it.
    const following = await source.readRecords(position.index + 1, 1);
    const [next] = splitRecords(following?.[0] ?? Buffer.alloc(0)) ?? [];
    const start =
      next === undefined
        ? { first: position.index + 1, predecessor: position.crc }
        : { first: next.header.first, predecessor: next.header.predecessor };
    await sendPieces(peer, claim, snapshot, start);
    return { epoch: position.epoch, index: start.first - 1, crc: start.predecessor };
  } finally {
    await snapshot.file.close();
  }
}

/** Puts the newest snapshot under a copy that goes on, if it is newer than the copy's. Resolves with the base's index. */
export async function renewBase(peer: CopyPeer, claim: Claim, source: JournalSource, from: number): Promise<number> {
  const snapshot = await source.openSnapshot(from);
  if (snapshot === undefined) return from;
  try {
    await sendPieces(peer, claim, snapshot, null);
    return snapshot.position.index;
  } finally {
    await snapshot.file.close();
  }
}

async function sendPieces(
  peer: CopyPeer,
  claim: Claim,
  { position, file, bytes, crc }: Snapshot,
  start: { first: number; predecessor: number } | null,
): Promise<void> {
  const piece = Buffer.allocUnsafeSlow(limits.journalSendBytesMax);
  for (let offset = 0; offset < bytes;) {
    const length = await file.read(piece.subarray(0, Math.min(piece.length, bytes - offset)), offset);
    if (length === 0) throw new FsError("EIO", "the snapshot has become shorter since it was verified");
    await peer.call(
      "putJournalBase",
      { ...claim, base: position, bytes, crc, offset, start },
      { payload: [piece.subarray(0, length)] },
    );
    offset += length;
  }
}
