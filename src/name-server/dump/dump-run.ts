/**
 * One dump: read from one pinned state as fast as somebody takes it, while requests go on. Bounded: it is ahead of its
 * reader by one piece, and ends when nobody has asked for long.
 */
import type { Clock, Timer } from "../../base/clock.ts";
import { FsError } from "../../base/errno.ts";
import { limits } from "../../base/limits.ts";
import { dumpPieces } from "../../metadata-store/dump.ts";
import type { MetadataStore, PinnedState } from "../../metadata-store/types.ts";
import { nextTurn } from "../next-turn.ts";

/** One answer. */
const answerBytes = limits.payloadFrameBytes;

export interface DumpRun {
  /** Empty: that was all. Rejects when it was stopped, or something cannot be read. */
  next(): Promise<Buffer>;
  stop(reason: FsError): void;
  readonly isStopped: boolean;
  /** Resolves, never rejects, when the pinned state was let go. */
  readonly over: Promise<void>;
}

export function startDump(store: MetadataStore, clock: Clock): DumpRun {
  let stopped: FsError | undefined;
  /** The piece that waits to be taken, and who waits. */
  const slot: { ready: Buffer | undefined } = { ready: undefined };
  let taker: { resolve: (piece: Buffer) => void; reject: (error: Error) => void } | undefined;
  let taken: (() => void) | undefined;
  let end: { readonly error?: Error } | undefined;
  let idle: Timer | undefined;

  const watch = (): void => {
    idle?.cancel();
    idle = clock.after(
      limits.fsckIdleMillis,
      () => {
        stop(new FsError("ECANCELED", "nobody asks any more for the dump"));
      },
      { unref: true },
    );
  };

  function settle(): void {
    if (taker === undefined) return;
    const { resolve, reject } = taker;
    if (stopped !== undefined) reject(stopped);
    else if (slot.ready !== undefined) {
      resolve(slot.ready);
      slot.ready = undefined;
      taken?.();
    } else if (end?.error !== undefined) reject(end.error);
    else if (end !== undefined) resolve(Buffer.alloc(0));
    else return;
    taker = undefined;
  }

  async function give(piece: Buffer): Promise<void> {
    await new Promise<void>((resolve) => {
      // At once if the reader is there already.
      taken = resolve;
      slot.ready = piece;
      settle();
    });
    if (stopped !== undefined) throw stopped;
  }

  async function read(state: PinnedState): Promise<void> {
    let pieces: Buffer[] = [];
    let bytes = 0;
    for (const piece of dumpPieces(state, store.epoch)) {
      if (stopped !== undefined) throw stopped;
      pieces.push(piece);
      bytes += piece.length;
      if (bytes < answerBytes) await nextTurn();
      else {
        await give(Buffer.concat(pieces));
        pieces = [];
        bytes = 0;
      }
    }
    if (bytes > 0) await give(Buffer.concat(pieces));
  }

  function stop(reason: FsError): void {
    stopped ??= reason;
    idle?.cancel();
    settle();
    taken?.();
  }

  watch();
  const over = store
    .pinned(read)
    .then(
      () => {
        end = {};
      },
      (error: unknown) => {
        end = { error: error instanceof Error ? error : new FsError("EIO", "the dump failed", { cause: error }) };
      },
    )
    .then(settle);
  return {
    over,
    stop,
    get isStopped() {
      return stopped !== undefined;
    },
    next() {
      watch();
      return new Promise((resolve, reject) => {
        taker?.reject(new FsError("EINVAL", "the next piece of the dump is asked for twice"));
        taker = { resolve, reject };
        settle();
      });
    },
  };
}
