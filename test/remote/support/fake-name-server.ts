/**
 * A name server of a few lines: sessions, the last reply of every slot, locks without conflicts between owners of one
 * session, and a list of what it did. `restart` breaks connections and forgets locks, as the real one does.
 */
import { FsError } from "../../../src/base/errno.ts";
import type { ClusterId, SessionId } from "../../../src/base/ids.ts";
import { silentLog } from "../../../src/base/log.ts";
import { seededRandom } from "../../../src/base/random.ts";
import type { HeldLease, LeaseGrant } from "../../../src/protocol/leases.ts";
import type { NameServerMethods } from "../../../src/protocol/name-server.ts";
import type { ClusterMap, Lock, OperationToken } from "../../../src/protocol/types.ts";
import type { HandlerContext } from "../../../src/rpc/types.ts";
import { connectNameServer, type ConnectNameServerOptions } from "../../../src/remote/name-server-client.ts";
import type { NameServer, NameServerEvents } from "../../../src/remote/types.ts";
import { SimulatedClock } from "../../support/simulated-clock.ts";
import { FakePeer, type FakeCall } from "./fake-peer.ts";

interface FakeSession {
  readonly id: SessionId;
  readonly slots: Map<number, { sequence: number; reply: unknown }>;
}

export class FakeNameServer {
  readonly clock: SimulatedClock;
  readonly sessions = new Map<SessionId, FakeSession>();
  /** Every change that took effect, in order. */
  readonly done: { method: string; request: unknown; op: OperationToken }[] = [];
  readonly locks: { ino: number; lock: Lock }[] = [];
  readonly peers: FakePeer<NameServerMethods>[] = [];
  map: ClusterMap = { version: 1, replicas: 2, nodes: [], groups: [] };
  epoch = 1;
  cluster = "c0c0c0c0c0c0c0c0" as ClusterId;
  /** Whether a resumed session finds its leases as it left them. */
  leasesKept = true;
  bytesFree = 1_000_000;
  /** Connecting fails with this while it is set. */
  refusal: Error | undefined;
  /** Comes before the normal answer; `undefined` means: go on normally. */
  intercept: (call: FakeCall, peer: FakePeer<NameServerMethods>) => unknown = () => undefined;
  connects = 0;
  mapChanged: ((map: ClusterMap) => void) | undefined;
  /** What a session gets of the leases that it reclaims. */
  regrant: (held: readonly HeldLease[]) => LeaseGrant[] = (held) => held.map((one, at) => ({ ...one, number: at + 1 }));
  readonly #ids = seededRandom(7);

  constructor(clock: SimulatedClock) {
    this.clock = clock;
  }

  get peer(): FakePeer<NameServerMethods> {
    const peer = this.peers.at(-1);
    if (peer === undefined) throw new Error("nobody is connected");
    return peer;
  }

  /** Calls of one method that arrived, over all connections. */
  calls(method: string): FakeCall[] {
    return this.peers.flatMap(({ calls }) => calls).filter((call) => call.method === method);
  }

  connect: ConnectNameServerOptions["connect"] = (_address, { handlers }) => {
    this.connects++;
    if (this.refusal !== undefined) return Promise.reject(this.refusal);
    let session: FakeSession | undefined;
    const peer: FakePeer<NameServerMethods> = new FakePeer(this.clock, (call) => {
      const before = this.intercept(call, peer);
      if (before !== undefined) return before;
      if (call.method === "openSession") return this.#open(call, (opened) => (session = opened));
      if (session === undefined) throw new FsError("ENOTCONN", "no session");
      return this.#answer(session, call);
    });
    this.peers.push(peer);
    this.mapChanged = (map) => {
      void handlers.mapChanged({ map }, {} as HandlerContext<NameServerMethods>);
    };
    return Promise.resolve(peer);
  };

  /** Carries a change out (or remembers that it did) without answering. */
  execute(session: SessionId, call: FakeCall): unknown {
    const found = this.sessions.get(session);
    if (found === undefined) throw new FsError("ENOTCONN", "no session");
    return this.#answer(found, call);
  }

  restart(): void {
    this.locks.length = 0;
    for (const peer of this.peers) peer.close("the server was restarted");
  }

  expireSessions(): void {
    this.sessions.clear();
    this.restart();
  }

  #open({ request }: FakeCall, opened: (session: FakeSession) => void): unknown {
    const { resume } = request as { resume?: SessionId };
    const old = resume === undefined ? undefined : this.sessions.get(resume);
    const session = old ?? { id: this.#ids.bytes(8).toString("hex") as SessionId, slots: new Map() };
    this.sessions.set(session.id, session);
    opened(session);
    return {
      session: session.id,
      resumed: old !== undefined,
      cluster: this.cluster,
      epoch: this.epoch,
      ttlMillis: 30_000,
      serverNanos: this.clock.wallNanos(),
      leasesKept: this.leasesKept,
      map: this.map,
    };
  }

  #answer(session: FakeSession, { method, request }: FakeCall): unknown {
    const { op } = request as { op?: OperationToken };
    if (op !== undefined) return this.#once(session, method, request, op);
    switch (method) {
      case "heartbeat":
        return { serverNanos: this.clock.wallNanos(), mapVersion: this.map.version, bytesFree: this.bytesFree };
      case "clusterMap":
        return { map: this.map };
      case "reclaimLeases":
        return { leases: this.regrant((request as { held: HeldLease[] }).held) };
      case "setLock":
        this.locks.push(request as { ino: number; lock: Lock });
        return {};
      default:
        return { method, request };
    }
  }

  #once(session: FakeSession, method: string, request: unknown, op: OperationToken): unknown {
    const slot = session.slots.get(op.slot) ?? { sequence: 0, reply: undefined };
    session.slots.set(op.slot, slot);
    if (op.sequence === slot.sequence) return slot.reply;
    if (op.sequence !== slot.sequence + 1) {
      throw new FsError("EINVAL", `slot ${String(op.slot)}: ${String(op.sequence)} after ${String(slot.sequence)}`);
    }
    this.done.push({ method, request, op });
    slot.sequence = op.sequence;
    slot.reply = { number: this.done.length, map: this.map };
    return slot.reply;
  }
}

export const quietEvents: NameServerEvents = {
  handlers: { recallLeases: () => ({}), inodesRemoved: () => ({ inUse: [] }) },
  onSession: () => undefined,
  ahead: { moment: () => 0, onApplied: () => undefined, onLost: () => undefined },
  onTrusted: () => undefined,
  heldLeases: () => [],
  onLeasesReclaimed: () => undefined,
};

export interface Connected {
  readonly server: FakeNameServer;
  readonly clock: SimulatedClock;
  readonly client: NameServer;
  /** What `onSession` was told. */
  readonly told: { resumed: boolean }[];
}

/** A client connected to a fake name server. */
export async function connected(options: Partial<ConnectNameServerOptions> = {}): Promise<Connected> {
  const clock = new SimulatedClock();
  const server = new FakeNameServer(clock);
  const told: { resumed: boolean }[] = [];
  const client = await connectNameServer({
    ...clientOptions(server),
    events: {
      ...quietEvents,
      onSession: (state) => {
        told.push(state);
      },
    },
    ...options,
  });
  return { server, clock, client, told };
}

export function clientOptions(server: FakeNameServer): ConnectNameServerOptions {
  return {
    addresses: [{ host: "127.0.0.1", port: 7400 }],
    connect: server.connect,
    connectNode: () => Promise.reject(new FsError("ECONNREFUSED", "there are no storage nodes")),
    clock: server.clock,
    random: seededRandom(1),
    log: silentLog,
    clientName: "a test",
    events: quietEvents,
  };
}
