/**
 * Hosts and the links between them, in memory. A link delays; it can be cut in one direction or in both: what is sent then
 * arrives once it is whole again, as TCP sends again. Each connection keeps its order.
 *
 * The end of a process closes its connections, which the other side learns if the link carries it. After a loss of power
 * nobody is told anything: the other side holds half of a connection, which is reset when something reaches the host again.
 */
import { crc32 } from "node:zlib";
import { FsError } from "../../src/base/errno.ts";
import type { Random } from "../../src/base/random.ts";
import type { Address, Connection, Listener, Transport } from "../../src/rpc/types.ts";
import type { Events } from "./events.ts";
import type { Machine } from "./machine.ts";

/** As Linux gives up on SYNs that nobody answers; callers give up before. */
const connectMillisMax = 60_000;

interface Listening {
  readonly machine: Machine;
  readonly accept: (connection: Connection) => void;
}

export class Network {
  readonly events: Events;
  readonly #random: Random;
  readonly #listening = new Map<string, Listening>();
  readonly #ends = new Set<End>();
  /** Directed: "from>to". */
  readonly #cut = new Set<string>();
  /** Milliseconds that are added to the way from a host or to it. */
  readonly #slow = new Map<string, number>();
  readonly #down = new Set<string>();
  readonly #waiting = new Set<() => void>();

  constructor(events: Events, random: Random) {
    this.events = events;
    this.#random = random;
  }

  transportOf(machine: Machine): Transport {
    return {
      connect: (address, signal) => this.#connect(machine, address, signal),
      listen: (address, accept) => this.#listen(machine, address, accept),
    };
  }

  cut(from: string, to: string): void {
    this.#cut.add(`${from}>${to}`);
  }

  /** Adds so much to each way of a host's messages; 0: no more. */
  slow(host: string, millis: number): void {
    this.#slow.set(host, millis);
  }

  /** All links are whole and fast. */
  heal(): void {
    this.#cut.clear();
    this.#slow.clear();
    this.#retry();
  }

  /** The process is gone, its host lives: the others are told. */
  ended(machine: Machine): void {
    for (const [place, listening] of this.#listening) {
      if (listening.machine === machine) this.#listening.delete(place);
    }
    for (const end of [...this.#ends]) if (end.machine === machine) end.reset();
  }

  /** Its host has no power: nobody is told. */
  vanished(machine: Machine): void {
    this.#down.add(machine.host);
    for (const [place, listening] of this.#listening) {
      if (listening.machine === machine) this.#listening.delete(place);
    }
    for (const end of [...this.#ends]) if (end.machine === machine) end.vanish();
  }

  powered(host: string): void {
    this.#down.delete(host);
    this.#retry();
  }

  /** One side of some connection of this host is reset, and the other side hears nothing of it. */
  breakOneSide(host: string): void {
    const ends = [...this.#ends].filter((end) => end.machine.host === host && end.machine.isAlive);
    const end = ends[this.#random.below(Math.max(1, ends.length))];
    if (end === undefined) return;
    end.vanish();
    end.machine.enter(() => {
      end.onClose("reset by a box in between");
    });
  }

  isReachable(from: string, to: string): boolean {
    return !this.#cut.has(`${from}>${to}`) && !this.#down.has(to) && !this.#down.has(from);
  }

  latency(from: string, to: string): number {
    const extra = (this.#slow.get(from) ?? 0) + (this.#slow.get(to) ?? 0);
    return 0.05 + this.#random.below(200) / 1_000 + (extra === 0 ? 0 : this.#random.below(extra));
  }

  /** Once something about the links has become better. */
  whenBetter(run: () => void): { forget(): void } {
    this.#waiting.add(run);
    return {
      forget: () => {
        this.#waiting.delete(run);
      },
    };
  }

  forget(end: End): void {
    this.#ends.delete(end);
  }

  #retry(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const run of waiting) run();
  }

  #listen(machine: Machine, address: Address, accept: (connection: Connection) => void): Promise<Listener> {
    const place = `${machine.host}:${String(address.port)}`;
    if (this.#listening.has(place)) return Promise.reject(new FsError("EADDRINUSE", place));
    this.#listening.set(place, { machine, accept });
    return Promise.resolve({
      address: { host: machine.host, port: address.port },
      close: () => {
        this.#listening.delete(place);
        return Promise.resolve();
      },
    });
  }

  #connect(machine: Machine, address: Address, signal: AbortSignal | undefined): Promise<Connection> {
    const { host } = machine;
    return new Promise((resolve, reject) => {
      const state = { isOver: false };
      const fail = (error: Error): void => {
        if (state.isOver) return;
        state.isOver = true;
        reject(error);
      };
      signal?.addEventListener("abort", () => {
        fail(signal.reason as Error);
      });
      machine.clock.after(connectMillisMax, () => {
        fail(new FsError("ETIMEDOUT", `no answer from ${address.host}`));
      });
      const attempt = (): void => {
        if (state.isOver || !machine.isAlive) return;
        if (!this.isReachable(host, address.host) || !this.isReachable(address.host, host)) {
          this.whenBetter(() => this.events.schedule(this.latency(host, address.host), attempt));
          return;
        }
        const listening = this.#listening.get(`${address.host}:${String(address.port)}`);
        if (listening === undefined) {
          machine.enter(() => {
            fail(new FsError("ECONNREFUSED", `nobody listens on ${address.host}:${String(address.port)}`));
          });
          return;
        }
        const [near, far] = this.#pair(machine, listening.machine);
        listening.machine.enter(() => {
          listening.accept(far);
        });
        this.events.schedule(this.latency(address.host, host), () => {
          machine.enter(() => {
            if (state.isOver) near.close("it came too late");
            else {
              state.isOver = true;
              resolve(near);
            }
          });
        });
      };
      this.events.schedule(this.latency(host, address.host), attempt);
    });
  }

  #pair(a: Machine, b: Machine): [End, End] {
    const near = new End(this, a);
    const far = new End(this, b);
    near.meet(far);
    far.meet(near);
    this.#ends.add(near);
    this.#ends.add(far);
    return [near, far];
  }
}

type Sent =
  | { readonly type: "message"; readonly message: Buffer; readonly onSent: (() => void) | undefined }
  | { readonly type: "end"; readonly reason: string };

class End implements Connection {
  onMessage: (message: Buffer) => void = () => undefined;
  onClose: (reason: string) => void = () => undefined;
  takesPieces: () => boolean = () => false;
  onPiece: (piece: Buffer, isLast: boolean) => void = () => undefined;
  unsentBytes = 0;
  readonly machine: Machine;
  #other!: End;
  readonly #network: Network;
  readonly #sent: { readonly due: number; readonly what: Sent }[] = [];
  #isSending = false;
  readonly #inbox: Buffer[] = [];
  #isPaused = false;
  #isOpen = true;
  /** It is gone without a word to the other side. */
  #hasVanished = false;

  constructor(network: Network, machine: Machine) {
    this.#network = network;
    this.machine = machine;
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
    this.#network.forget(this);
    this.#push({ type: "end", reason: "reset by the other side" });
  }

  vanish(): void {
    this.#isOpen = false;
    this.#hasVanished = true;
    this.#network.forget(this);
  }

  #closeHere(reason: string): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#network.forget(this);
    this.#network.events.schedule(0, () => {
      this.machine.enter(() => {
        this.onClose(reason);
      });
    });
  }

  #push(what: Sent): void {
    const { events } = this.#network;
    const due = events.now + this.#network.latency(this.machine.host, this.#other.machine.host);
    this.#sent.push({ due, what });
    this.#pump();
  }

  /** Delivers the first that is on its way, then the next: in their order, however long each may take. */
  #pump(): void {
    const first = this.#sent[0];
    if (this.#isSending || first === undefined) return;
    this.#isSending = true;
    const { events } = this.#network;
    events.schedule(first.due - events.now, () => {
      this.#isSending = false;
      if (!this.#network.isReachable(this.machine.host, this.#other.machine.host)) {
        this.#isSending = true;
        this.#network.whenBetter(() => {
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
    const { events } = this.#network;
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
