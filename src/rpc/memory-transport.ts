/**
 * Connections within one process, for tests and simulation: messages are copied and delivered in order, each in a turn
 * of its own. `cut` breaks every connection of an address, as a killed process would.
 */
import { FsError } from "../base/errno.ts";
import type { Address, Connection, Listener, Transport } from "./types.ts";

export interface MemoryNetwork extends Transport {
  /** Breaks all connections to and from the listener at this port. */
  cut(port: number): void;
  /** Deliveries take this turn-giver; default setImmediate. */
  readonly connections: number;
}

type Schedule = (deliver: () => void) => void;

export function createMemoryNetwork(schedule: Schedule = (deliver) => setImmediate(deliver)): MemoryNetwork {
  const listeners = new Map<number, (connection: Connection) => void>();
  const open = new Map<End, number>();
  let nextPort = 50_000;
  return {
    get connections() {
      return open.size / 2;
    },
    connect(address) {
      const accept = listeners.get(address.port);
      if (accept === undefined) {
        return Promise.reject(new FsError("ECONNREFUSED", `nobody listens on port ${String(address.port)}`));
      }
      const [near, far] = connectedPair(schedule, address.port, (end) => open.delete(end));
      open.set(near, address.port);
      open.set(far, address.port);
      accept(far);
      return Promise.resolve(near);
    },
    listen(address, onConnection) {
      const port = address.port === 0 ? nextPort++ : address.port;
      if (listeners.has(port)) return Promise.reject(new FsError("EADDRINUSE", `port ${String(port)}`));
      listeners.set(port, onConnection);
      const listener: Listener = {
        address: { host: address.host, port } satisfies Address,
        close: () => {
          listeners.delete(port);
          this.cut(port);
          return Promise.resolve();
        },
      };
      return Promise.resolve(listener);
    },
    cut(port) {
      for (const [end, of] of [...open]) if (of === port) end.close("cut");
    },
  };
}

class End implements Connection {
  onMessage: (message: Buffer) => void = () => undefined;
  onClose: (reason: string) => void = () => undefined;
  takesPieces: () => boolean = () => false;
  onPiece: (piece: Buffer, isLast: boolean) => void = () => undefined;
  unsentBytes = 0;
  readonly remoteAddress: string;
  other!: End;
  readonly #schedule: Schedule;
  readonly #forget: (end: End) => void;
  readonly #inbox: Buffer[] = [];
  #paused = false;
  #open = true;

  constructor(schedule: Schedule, remoteAddress: string, forget: (end: End) => void) {
    this.#schedule = schedule;
    this.remoteAddress = remoteAddress;
    this.#forget = forget;
  }

  send(pieces: readonly Uint8Array[], onSent?: () => void): void {
    if (!this.#open) {
      onSent?.();
      return;
    }
    const message = Buffer.concat(pieces);
    this.unsentBytes += message.length;
    this.#schedule(() => {
      this.unsentBytes -= message.length;
      onSent?.();
      this.other.deliver(message);
    });
  }

  deliver(message: Buffer): void {
    if (!this.#open) return;
    if (this.#paused || this.#inbox.length > 0) this.#inbox.push(message);
    else this.onMessage(message);
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    for (let next = this.#inbox.shift(); next !== undefined; next = this.#inbox.shift()) {
      this.onMessage(next);
      if (this.isPaused()) return;
    }
  }

  isPaused(): boolean {
    return this.#paused;
  }

  close(reason: string): void {
    if (!this.#open) return;
    this.#open = false;
    this.#forget(this);
    this.#schedule(() => {
      this.onClose(reason);
    });
    this.#schedule(() => {
      this.other.close("closed by the other side");
    });
  }
}

function connectedPair(schedule: Schedule, port: number, forget: (end: End) => void): [End, End] {
  const near = new End(schedule, `memory:${String(port)}`, forget);
  const far = new End(schedule, "memory:client", forget);
  near.other = far;
  far.other = near;
  return [near, far];
}
