/**
 * The network in memory: who listens where, and the connections between processes. What is sent over a link that is cut
 * arrives once it is whole again, as TCP sends again.
 *
 * The end of a process closes its connections, which the other side learns if the link carries it. After a loss of power
 * nobody is told anything: the other side holds half of a connection, which is reset when something reaches the host again.
 */
import { FsError } from "../../src/base/errno.ts";
import type { Random } from "../../src/base/random.ts";
import type { Address, Connection, Listener, Transport } from "../../src/rpc/types.ts";
import { End } from "./connection.ts";
import type { Events } from "./events.ts";
import { Links } from "./links.ts";
import type { Machine } from "./machine.ts";

/** As Linux gives up on SYNs that nobody answers; callers give up before. */
const connectMillisMax = 60_000;

interface Listening {
  readonly machine: Machine;
  readonly accept: (connection: Connection) => void;
}

export class Network {
  readonly links: Links;
  readonly #random: Random;
  readonly #listening = new Map<string, Listening>();
  readonly #ends = new Set<End>();

  constructor(events: Events, random: Random) {
    this.links = new Links(events, random);
    this.#random = random;
  }

  transportOf(machine: Machine): Transport {
    return {
      connect: (address, signal) => this.#connect(machine, address, signal),
      listen: (address, accept) => this.#listen(machine, address, accept),
    };
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
    this.links.down(machine.host);
    for (const [place, listening] of this.#listening) {
      if (listening.machine === machine) this.#listening.delete(place);
    }
    for (const end of [...this.#ends]) if (end.machine === machine) end.vanish();
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
    const { links } = this;
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
        if (!links.isReachable(host, address.host) || !links.isReachable(address.host, host)) {
          links.whenBetter(() => links.events.schedule(links.latency(host, address.host), attempt));
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
        links.events.schedule(links.latency(address.host, host), () => {
          machine.enter(() => {
            if (state.isOver) near.close("it came too late");
            else {
              state.isOver = true;
              resolve(near);
            }
          });
        });
      };
      links.events.schedule(links.latency(host, address.host), attempt);
    });
  }

  #pair(a: Machine, b: Machine): [End, End] {
    const forget = (end: End): void => void this.#ends.delete(end);
    const near = new End(this.links, a, forget);
    const far = new End(this.links, b, forget);
    near.meet(far);
    far.meet(near);
    this.#ends.add(near);
    this.#ends.add(far);
    return [near, far];
  }
}
