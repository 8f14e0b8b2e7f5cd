/** One side of a connection between two processes. What it sends arrives in its order, whatever the links do meanwhile. */
import { crc32 } from "node:zlib";
import type { Connection } from "../../src/rpc/types.ts";
import type { Links } from "./links.ts";
import type { Machine } from "./machine.ts";

type Sent =
  | { readonly type: "message"; readonly message: Buffer; readonly onSent: (() => void) | undefined }
  | { readonly type: "end"; readonly reason: string };

export class End implements Connection {
  onMessage: (message: Buffer) => void = () => undefined;
  onClose: (reason: string) => void = () => undefined;
  takesPieces: () => boolean = () => false;
  onPiece: (piece: Buffer, isLast: boolean) => void = () => undefined;
  unsentBytes = 0;
  readonly machine: Machine;
  #other!: End;
  readonly #links: Links;
  readonly #onGone: (end: End) => void;
  readonly #sent: { readonly due: number; readonly what: Sent }[] = [];
  #isSending = false;
  readonly #inbox: Buffer[] = [];
  #isPaused = false;
  #isOpen = true;
  /** It is gone without a word to the other side. */
  #hasVanished = false;

  /** @param onGone called when it is no end of anything any more */
  constructor(links: Links, machine: Machine, onGone: (end: End) => void) {
    this.#links = links;
    this.machine = machine;
    this.#onGone = onGone;
  }

  get remoteAddress(): string {
    return this.#other.machine.host;
  }

  meet(other: End): void {
    this.#other = other;
  }

  send(pieces: readonly Uint8Array[], onSent?: () => void): void {
    if (!this.#isOpen || !this.machine.isAlive) {
      onSent?.();
      return;
    }
    const message = Buffer.concat(pieces);
    this.unsentBytes += message.length;
    this.#push({ type: "message", message, onSent });
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    while (this.#isOpen && !this.isPaused()) {
      const next = this.#inbox.shift();
      if (next === undefined) return;
      this.onMessage(next);
    }
  }

  isPaused(): boolean {
    return this.#isPaused;
  }

  close(reason: string): void {
    if (!this.#isOpen || !this.machine.isAlive) return;
    this.#closeHere(reason);
    this.#push({ type: "end", reason: "closed by the other side" });
  }

  /** The process is dead, and its kernel closes what it had. */
  reset(): void {
    this.#isOpen = false;
    this.#onGone(this);
    this.#push({ type: "end", reason: "reset by the other side" });
  }

  vanish(): void {
    this.#isOpen = false;
    this.#hasVanished = true;
    this.#onGone(this);
  }

  #closeHere(reason: string): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#onGone(this);
    this.#links.events.schedule(0, () => {
      this.machine.enter(() => {
        this.onClose(reason);
      });
    });
  }

  #push(what: Sent): void {
    const { events } = this.#links;
    const due = events.now + this.#links.latency(this.machine.host, this.#other.machine.host);
    this.#sent.push({ due, what });
    this.#pump();
  }

  /** Delivers the first that is on its way, then the next: in their order, however long each may take. */
  #pump(): void {
    const first = this.#sent[0];
    if (this.#isSending || first === undefined) return;
    this.#isSending = true;
    const { events } = this.#links;
    events.schedule(first.due - events.now, () => {
      this.#isSending = false;
      if (!this.#links.isReachable(this.machine.host, this.#other.machine.host)) {
        this.#isSending = true;
        this.#links.whenBetter(() => {
          this.#isSending = false;
          this.#pump();
        });
        return;
      }
      this.#sent.shift();
      this.#arrive(first.what);
      this.#pump();
    });
  }

  #arrive(what: Sent): void {
    const other = this.#other;
    const { events } = this.#links;
    if (what.type === "message") {
      const { message, onSent } = what;
      events.note(`${this.machine.host}>${other.machine.host} ${String(message.length)} ${String(crc32(message))}`);
      this.unsentBytes -= message.length;
      if (onSent !== undefined) this.machine.enter(onSent);
      if (other.#hasVanished) this.#closeHere("reset: the other side knows nothing of it");
      else {
        other.machine.enter(() => {
          other.#take(message);
        });
      }
    } else if (!other.#hasVanished) {
      other.machine.enter(() => {
        other.#closeHere(what.reason);
      });
    }
  }

  #take(message: Buffer): void {
    if (!this.#isOpen) return;
    if (this.#isPaused || this.#inbox.length > 0) this.#inbox.push(message);
    else this.onMessage(message);
  }
}
