/**
 * Sending over one connection so that a small message never waits behind much bulk: messages go out at once, payloads
 * in pieces of 256 KiB, taking turns between calls, while less than 512 KiB are unsent.
 */
import { limits } from "../base/limits.ts";
import { encodeFrame, frameKinds, payloadOfReply } from "./frames.ts";
import type { Connection } from "./types.ts";

interface Outgoing {
  readonly call: number;
  readonly flags: number;
  /** What is still to be sent. */
  pieces: Uint8Array[];
  inFlight: number;
  readonly done: () => void;
}

/** A payload up to this size travels in its message's own frame: copying it is cheaper than another message. */
const inFrameBytesMax = 32 * 1024;

export class Outbox {
  readonly #connection: Connection;
  readonly #queue: Outgoing[] = [];
  #closed = false;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Payload bytes of replies that are queued here: whoever makes them watches this. */
  queuedBytes = 0;

  sendFrame(frame: Buffer): void {
    if (!this.#closed) this.#connection.send([frame]);
  }

  /** Borrows `payload` until `done`, which is called exactly once, also when the connection breaks. */
  sendWithPayload(
    kind: typeof frameKinds.request | typeof frameKinds.reply,
    call: number,
    message: unknown,
    payload: readonly Uint8Array[],
    done: () => void,
  ): void {
    const payloadBytes = totalBytes(payload);
    const frame = encodeFrame(kind, call, { message, payloadBytes });
    if (this.#closed) {
      done();
    } else if (payloadBytes <= inFrameBytesMax) {
      this.#connection.send([Buffer.concat([frame, ...payload])]);
      done();
    } else {
      this.#connection.send([frame]);
      this.queuedBytes += payloadBytes;
      const flags = kind === frameKinds.reply ? payloadOfReply : 0;
      const finish = (): void => {
        this.queuedBytes -= payloadBytes;
        done();
      };
      this.#queue.push({ call, flags, pieces: [...payload], inFlight: 0, done: finish });
      this.#pump();
    }
  }

  /** Gives up what is queued. */
  close(): void {
    this.#closed = true;
    for (const outgoing of this.#queue.splice(0)) {
      outgoing.pieces = [];
      if (outgoing.inFlight === 0) outgoing.done();
    }
  }

  #pump(): void {
    while (!this.#closed && this.#connection.unsentBytes < limits.payloadInFlightBytesMax) {
      const outgoing = this.#queue.shift();
      if (outgoing === undefined) return;
      const piece = takePiece(outgoing.pieces);
      outgoing.inFlight += 1;
      this.#connection.send([encodeFrame(frameKinds.payload, outgoing.call, { flags: outgoing.flags })]);
      this.#connection.send([piece], () => {
        outgoing.inFlight -= 1;
        if (outgoing.inFlight === 0 && outgoing.pieces.length === 0) outgoing.done();
        this.#pump();
      });
      if (outgoing.pieces.length > 0) this.#queue.push(outgoing);
    }
  }
}

/** Removes and returns up to one frame's worth of the first piece. */
function takePiece(pieces: Uint8Array[]): Uint8Array {
  const first = pieces[0] as Uint8Array;
  if (first.length <= limits.payloadFrameBytes) {
    pieces.shift();
    return first;
  }
  pieces[0] = first.subarray(limits.payloadFrameBytes);
  return first.subarray(0, limits.payloadFrameBytes);
}

export function totalBytes(pieces: readonly Uint8Array[]): number {
  let total = 0;
  for (const piece of pieces) total += piece.length;
  return total;
}
