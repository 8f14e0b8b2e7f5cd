/**
 * What an ended session leaves behind: removed inodes that it kept, and block numbers that it never used. Given away in
 * small steps, after the end itself is durable. A server that died on the way finds the rest at its next start.
 */
import type { SessionId } from "../base/ids.ts";
import { keys } from "../metadata-store/keys.ts";
import { decodeOrphan, decodeRange } from "../metadata-store/records.ts";
import type { MetadataReader } from "../metadata-store/types.ts";
import type { Background } from "./background.ts";
import type { Execution } from "./execution.ts";
import { releaseSession, releaseRanges } from "./namespace/index.ts";
import type { MakeContext } from "./operation-context.ts";

export async function releaseBelongings(
  parts: { execution: Execution; makeContext: MakeContext; background: Pick<Background, "isClosing"> },
  session: SessionId,
): Promise<void> {
  const { execution, makeContext, background } = parts;
  for (const step of [releaseSession, releaseRanges]) {
    while (!background.isClosing) {
      const more = await execution.change((transaction) => step(makeContext(transaction, session), session));
      if (!more) break;
    }
  }
}

/** Sessions that are named by orphans or ranges and that do not exist any more. */
export function departedSessions(reader: MetadataReader, exists: (session: SessionId) => boolean): Set<SessionId> {
  const departed = new Set<SessionId>();
  const look = (session: SessionId): void => {
    if (!exists(session)) departed.add(session);
  };
  for (const [, value] of reader.range({ gte: "o", lt: keys.orphansEnd })) decodeOrphan(value).sessions.forEach(look);
  for (const [, value] of reader.range({ gte: keys.rangesFrom, lt: keys.rangesEnd })) look(decodeRange(value).session);
  return departed;
}
