/** A small method table and both transports, for the tests of rpc. */
import { z } from "zod";
import { systemClock } from "../../src/base/clock.ts";
import { silentLog, type Log } from "../../src/base/log.ts";
import { systemRandom } from "../../src/base/random.ts";
import type { Authenticator } from "../../src/rpc/handshake.ts";
import { createMemoryNetwork } from "../../src/rpc/memory-transport.ts";
import { connectPeer, serve } from "../../src/rpc/open.ts";
import type { Handlers, Listener, Peer, Transport } from "../../src/rpc/types.ts";
import { createWebSocketTransport } from "../../src/rpc/websocket-transport.ts";

const bytes = z.custom<Buffer>((value) => Buffer.isBuffer(value));
function spec<Q, R>(
  request: z.ZodType<Q>,
  reply: z.ZodType<R>,
): { request: (v: unknown) => Q; reply: (v: unknown) => R } {
  return { request: (value) => request.parse(value), reply: (value) => reply.parse(value) };
}

export const table = {
  echo: spec(
    z.object({ text: z.string(), big: z.bigint().optional(), raw: bytes.optional() }),
    z.object({ text: z.string(), big: z.bigint().optional(), raw: bytes.optional() }),
  ),
  store: spec(z.object({ bytes: z.number() }), z.object({ sum: z.number() })),
  fetch: spec(z.object({ bytes: z.number() }), z.object({})),
  fail: spec(z.object({ errno: z.string() }), z.object({})),
  wait: spec(z.object({}), z.object({})),
};
export type Table = typeof table;

export const transports: Record<string, () => Transport> = {
  memory: () => createMemoryNetwork(),
  websocket: () => createWebSocketTransport(),
};

export interface Pair {
  readonly near: Peer<Table>;
  readonly far: Promise<Peer<Table>>;
  readonly listener: Listener;
  close(): Promise<void>;
}

export async function openPair(
  transport: Transport,
  handlers: Handlers<Table, Table>,
  options: { near?: Handlers<Table, Table>; nearSecret?: Authenticator; farSecret?: Authenticator; log?: Log } = {},
): Promise<Pair> {
  const surroundings = { transport, clock: systemClock, random: systemRandom, log: options.log ?? silentLog };
  let gotPeer: (peer: Peer<Table>) => void = () => undefined;
  const far = new Promise<Peer<Table>>((resolve) => {
    gotPeer = resolve;
  });
  const listener = await serve(
    { ...surroundings, authenticator: options.farSecret },
    {
      address: { host: "127.0.0.1", port: 0 },
      hello: { role: "name-server", id: "far" },
      ownTable: table,
      handlers,
      remoteTable: table,
      onPeer: gotPeer,
    },
  );
  try {
    const near = await connectPeer(
      { ...surroundings, authenticator: options.nearSecret },
      {
        address: listener.address,
        hello: { role: "client", id: "near" },
        ownTable: table,
        handlers: options.near ?? handlers,
        remoteTable: table,
      },
    );
    return {
      near,
      far,
      listener,
      close: async () => {
        near.close("test done");
        await listener.close();
      },
    };
  } catch (error) {
    await listener.close();
    throw error;
  }
}
