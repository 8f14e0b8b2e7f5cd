/** Connects, or listens, and turns connections into peers. */
import { createBufferPool, type BufferPool } from "../base/buffer-pool.ts";
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import { Channel } from "./channel.ts";
import { introduce, receive, type Authenticator, type Introduced } from "./handshake.ts";
import type { AnyHandlers } from "./service.ts";
import type { Address, Connection, Handlers, Hello, Listener, MethodTable, Peer, Transport } from "./types.ts";

export interface Surroundings {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Absent: the cluster has no secret (loopback only). */
  readonly authenticator?: Authenticator | undefined;
  /** Shared by a process' connections; when absent, all that say nothing share one. */
  readonly pool?: BufferPool;
}

/** Memory that waits for re-use in a process that gives no pool of its own: one, however many its connections are. */
const idlePoolBytes = 32 * 1024 * 1024;
const commonPool = createBufferPool(idlePoolBytes);

/** Rejects with ECONNREFUSED, ETIMEDOUT, EPROTO, EPERM... */
export async function connectPeer<Own extends MethodTable, Remote extends MethodTable>(
  surroundings: Surroundings,
  options: {
    readonly address: Address;
    readonly hello: Omit<Hello, "versions">;
    readonly ownTable: Own;
    readonly handlers: Handlers<Own, Remote>;
    readonly remoteTable: Remote;
    readonly signal?: AbortSignal;
  },
): Promise<Peer<Remote>> {
  const { transport, authenticator, clock, random } = surroundings;
  const connection = await transport.connect(options.address, options.signal);
  const introduced = await introduce(connection, { hello: options.hello, authenticator, clock, random });
  return adopt(surroundings, connection, introduced, options);
}

export interface ServeOptions<Own extends MethodTable, Remote extends MethodTable> {
  readonly address: Address;
  readonly hello: Omit<Hello, "versions">;
  readonly ownTable: Own;
  readonly handlers: Handlers<Own, Remote>;
  /** What the peer answers: one table with the methods of all roles. */
  readonly remoteTable: Remote;
  /** Called when a peer is ready, before its first request. */
  readonly onPeer?: (peer: Peer<Remote>) => void;
}

/** Rejects with EADDRINUSE... Connections that fail their handshake are logged and closed. */
export function serve<Own extends MethodTable, Remote extends MethodTable>(
  surroundings: Surroundings,
  options: ServeOptions<Own, Remote>,
): Promise<Listener> {
  const { transport, authenticator, clock, random, log } = surroundings;
  const pool = surroundings.pool ?? commonPool;
  return transport.listen(options.address, (connection) => {
    receive(connection, { hello: options.hello, authenticator, clock, random }).then(
      (introduced) => {
        adopt({ ...surroundings, pool }, connection, introduced, options);
      },
      (error: unknown) => {
        log.warn({ peer: connection.remoteAddress, problem: String(error) }, "refused a connection");
      },
    );
  });
}

function adopt<Remote extends MethodTable>(
  surroundings: Surroundings,
  connection: Connection,
  { remote, early }: Introduced,
  options: {
    ownTable: MethodTable;
    // eslint-disable-next-line @typescript-eslint/no-explicit-any -- the table of the own side does not matter here
    handlers: Handlers<any, Remote>;
    remoteTable: Remote;
    onPeer?: (peer: Peer<Remote>) => void;
  },
): Peer<Remote> {
  const channel = new Channel({
    connection,
    remote,
    remoteTable: options.remoteTable,
    ownTable: options.ownTable,
    handlers: options.handlers as AnyHandlers,
    clock: surroundings.clock,
    log: surroundings.log,
    pool: surroundings.pool ?? commonPool,
  });
  options.onPeer?.(channel);
  channel.begin(early);
  return channel;
}
