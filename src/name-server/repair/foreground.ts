/**
 * What clients do meanwhile: their requests are counted (those that keep a session alive apart), and it is measured how long
 * results wait until everything that they saw is durable. That wait is the part of an fsync that copying makes longer: the
 * journal's copies are written by the storage nodes, to disks from which copies are read and to which they are written.
 */
import type { Clock } from "../../base/clock.ts";
import type { NameServerMethods } from "../../protocol/name-server.ts";
import type { HandlerContext, Handlers } from "../../rpc/types.ts";
import type { PeerMethods } from "../types.ts";

type Table = Handlers<NameServerMethods, PeerMethods>;
type Handler = (request: unknown, context: HandlerContext<PeerMethods>) => unknown;

const quiet: ReadonlySet<string> = new Set<keyof NameServerMethods>([
  "heartbeat",
  "leaseNews",
  "clusterMap",
  "reportNode",
  "status",
  "registerNode",
  "nodeHeartbeat",
]);

export class Foreground {
  #requests = 0;
  #listener: (millis: number) => void = () => undefined;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Rises with each request of a client. */
  get requests(): number {
    return this.#requests;
  }

  /** The same handlers; the requests that clients make of them are counted. */
  counted(handlers: Table): Table {
    const entries = Object.entries(handlers) as [string, Handler][];
    const counting = entries.map(([method, handler]): [string, Handler] => {
      if (quiet.has(method)) return [method, handler];
      return [
        method,
        (request, context) => {
          if (context.peer.remote.role === "client") this.#requests++;
          return handler(request, context);
        },
      ];
    });
    return Object.fromEntries(counting) as unknown as Table;
  }

  /** The same wait; how long it took is told to the listener. */
  async timed(wait: Promise<void>): Promise<void> {
    const start = this.#clock.monotonicMillis();
    await wait;
    this.#listener(this.#clock.monotonicMillis() - start);
  }

  /** Milliseconds of each wait from now on. */
  onWait(listener: (millis: number) => void): void {
    this.#listener = listener;
  }
}
