/** Name servers and storage nodes at addresses: what a client finds there. Ports are their names. */
import { FsError } from "../../../src/base/errno.ts";
import type { NodeId } from "../../../src/base/ids.ts";
import type { Log, LogFields } from "../../../src/base/log.ts";
import { silentLog } from "../../../src/base/log.ts";
import type { Promised } from "../../../src/protocol/ask-nodes.ts";
import type { JournalMethods } from "../../../src/protocol/journal-methods.ts";
import type { NameServerMethods } from "../../../src/protocol/name-server.ts";
import type { ConnectNameServerOptions } from "../../../src/remote/name-server-client.ts";
import type { Address } from "../../../src/rpc/types.ts";
import { SimulatedClock } from "../../support/simulated-clock.ts";
import { clientOptions, FakeNameServer } from "./fake-name-server.ts";
import { FakePeer, silence } from "./fake-peer.ts";

/** What is at an address: a server that answers, one that takes connections and says nothing, or what a node has promised. */
export type Place = FakeNameServer | "mute" | Promised;

export class Places {
  readonly clock = new SimulatedClock();
  readonly at = new Map<number, Place>();
  /** Ports to which clients connected for a session, and those that they asked, in order. */
  readonly tried: number[] = [];
  readonly asked: number[] = [];
  readonly lines: { fields: LogFields; message: string }[] = [];

  server(port: number, epoch: number): FakeNameServer {
    const server = new FakeNameServer(this.clock);
    server.epoch = epoch;
    server.map = { ...server.map, nodes: this.#nodes() };
    this.at.set(port, server);
    return server;
  }

  /** In the place of another one, with its sessions. */
  successor(port: number, epoch: number, before: FakeNameServer): FakeNameServer {
    const server = this.server(port, epoch);
    for (const [id, session] of before.sessions) server.sessions.set(id, session);
    return server;
  }

  node(port: number, epoch: number, server: number | null): void {
    this.at.set(port, { epoch, address: server === null ? null : addressOf(server) });
  }

  options(...ports: number[]): ConnectNameServerOptions {
    return {
      ...clientOptions(new FakeNameServer(this.clock)),
      addresses: ports.map(addressOf),
      connect: (address, how) => {
        this.tried.push(address.port);
        const place = this.at.get(address.port);
        if (place instanceof FakeNameServer) return place.connect(address, how);
        return this.#peer<NameServerMethods>(place);
      },
      connectNode: ({ port }) => {
        this.asked.push(port);
        return this.#peer<JournalMethods>(this.at.get(port));
      },
      log: this.#log,
    };
  }

  get #log(): Log {
    const note = (fields: LogFields, message: string): void => {
      this.lines.push({ fields, message });
    };
    return { ...silentLog, info: note, warn: note, error: note, child: () => this.#log };
  }

  #peer<T extends NameServerMethods | JournalMethods>(place: Place | undefined): Promise<FakePeer<T>> {
    if (place === undefined) return Promise.reject(new FsError("ECONNREFUSED", "nobody listens there"));
    if (place === "mute") return Promise.resolve(new FakePeer<T>(this.clock, () => silence));
    if (place instanceof FakeNameServer) return Promise.resolve(new FakePeer<T>(this.clock, () => silence));
    return Promise.resolve(new FakePeer<T>(this.clock, () => place, { role: "storage-node" }));
  }

  #nodes(): FakeNameServer["map"]["nodes"] {
    const ports = [...this.at].flatMap(([port, place]) =>
      place instanceof FakeNameServer || place === "mute" ? [] : port,
    );
    return ports.map((port) => ({
      id: port.toString(16).padStart(16, "0") as NodeId,
      address: addressOf(port),
      state: "up",
    }));
  }
}

export function addressOf(port: number): Address {
  return { host: "somewhere", port };
}
