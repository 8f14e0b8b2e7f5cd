/**
 * How far the ahead log of each session is. What is remembered is in the store with the effect of the batches; here is a
 * copy, read when a session is first heard of.
 *
 * Invariant: the copy says what the newest record in the store says.
 */
import { errnoOf, FsError, isErrnoName, type ErrnoName } from "../../base/errno.ts";
import type { SessionId } from "../../base/ids.ts";
import { keys } from "../../metadata-store/keys.ts";
import { decodeAhead, encodeAhead } from "../../metadata-store/records.ts";
import type { MetadataStore } from "../../metadata-store/types.ts";
import type { Transaction } from "../namespace/index.ts";
import { InodeNumbers } from "./inode-numbers.ts";

export interface LogState {
  /** The last batch that was applied whole. */
  sequence: number;
  /** So many entries of the next one were applied, by a server that then died. */
  entries: number;
  /** Why the next one was refused. */
  refusal: Refusal | undefined;
  readonly numbers: InodeNumbers;
}

export interface Refusal {
  readonly errno: ErrnoName;
  readonly context: string;
}

export interface AheadLogs {
  of(session: SessionId): LogState;
  /** The log's record, as it is to be committed with what it tells of. */
  write(transaction: Transaction, session: SessionId, state: LogState): void;
  /** Forgets a session that has ended (its record is removed with it). */
  forget(session: SessionId): void;
}

export function createAheadLogs(store: MetadataStore): AheadLogs {
  const logs = new Map<SessionId, LogState>();

  function read(session: SessionId): LogState {
    const value = store.get(keys.ahead(session));
    if (value === undefined) return { sequence: 0, entries: 0, refusal: undefined, numbers: new InodeNumbers() };
    const { sequence, entries, errno, ranges } = decodeAhead(value);
    const context = "refused before the name server was restarted";
    return {
      ...{ sequence, entries, numbers: InodeNumbers.from(ranges) },
      refusal: errno === "" ? undefined : { errno: isErrnoName(errno) ? errno : "EIO", context },
    };
  }

  return {
    of(session) {
      let found = logs.get(session);
      if (found === undefined) logs.set(session, (found = read(session)));
      return found;
    },

    write(transaction, session, { sequence, entries, refusal, numbers }) {
      const record = { sequence, entries, errno: refusal?.errno ?? "", ranges: numbers.ranges };
      transaction.put(keys.ahead(session), encodeAhead(record));
    },

    forget: (session) => {
      logs.delete(session);
    },
  };
}

export function refusalOf(error: unknown): Refusal {
  if (!(error instanceof FsError))
    return { errno: errnoOf(error), context: "unexpected: see the log of the name server" };
  // Without the errno in front, which a new FsError adds again.
  return { errno: error.errno, context: error.message.slice(error.errno.length + 2) };
}
