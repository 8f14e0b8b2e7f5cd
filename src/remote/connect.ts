/** How connections come about here: by an injected function, within `limits.connectMillis`, never left behind. */
import type { Clock } from "../base/clock.ts";
import { FsError, errnoOf, type ErrnoName } from "../base/errno.ts";
import { limits } from "../base/limits.ts";
import type { AskOptions } from "../protocol/ask-nodes.ts";
import type { JournalMethods } from "../protocol/journal-methods.ts";
import type { Address, Handlers, Hello, MethodTable, Peer } from "../rpc/types.ts";

/** Opens a connection and shakes hands. Rejects with FsError; the tables of methods are the function's own business. */
export type Connect<Own extends MethodTable, Remote extends MethodTable> = (
  address: Address,
  options: {
    readonly handlers: Handlers<Own, Remote>;
    readonly hello: Omit<Hello, "versions">;
    readonly signal: AbortSignal;
  },
) => Promise<Peer<Remote>>;

/** A table without methods: of a side that answers nothing. */
export type NoMethods = Readonly<Record<string, never>>;

/** As `connect`, but gives up after `limits.connectMillis` or when `signal` aborts; a peer that comes later is closed. */
export function connectInTime<Own extends MethodTable, Remote extends MethodTable>(
  connect: Connect<Own, Remote>,
  address: Address,
  options: { handlers: Handlers<Own, Remote>; hello: Omit<Hello, "versions">; signal: AbortSignal; clock: Clock },
): Promise<Peer<Remote>> {
  const { handlers, hello, signal, clock } = options;
  return new Promise((resolve, reject) => {
    const attempt = new AbortController();
    const giveUp = (reason: Error): void => {
      finish();
      attempt.abort(reason);
      reject(reason);
    };
    const onAbort = (): void => {
      giveUp(signal.reason as Error);
    };
    const timer = clock.after(limits.connectMillis, () => {
      giveUp(new FsError("ETIMEDOUT", `no connection to ${addressName(address)} in time`));
    });
    const finish = (): void => {
      timer.cancel();
      signal.removeEventListener("abort", onAbort);
    };
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener("abort", onAbort, { once: true });
    connect(address, { handlers, hello, signal: attempt.signal }).then(
      (peer) => {
        finish();
        if (attempt.signal.aborted) peer.close("it came too late");
        else resolve(peer);
      },
      (error: unknown) => {
        finish();
        reject(error);
      },
    );
  });
}

/** As `connectInTime`; EHOSTUNREACH when the other side has proved another role. */
export async function connectTo<Own extends MethodTable, Remote extends MethodTable>(
  role: Hello["role"],
  ...how: Parameters<typeof connectInTime<Own, Remote>>
): Promise<Peer<Remote>> {
  const peer = await connectInTime(...how);
  if (peer.remote.role === role) return peer;
  peer.close(`a ${role} was expected here`);
  throw new FsError("EHOSTUNREACH", `at ${addressName(how[1])} is a ${peer.remote.role}, not a ${role}`);
}

/** Asks a storage node where the name server is, over a connection of its own. */
export function askingNodes(
  connect: Connect<NoMethods, JournalMethods>,
  options: { clientName: string; clock: Clock },
): AskOptions["ask"] {
  const hello = { role: "client", id: options.clientName } as const;
  return async (address, signal) => {
    const how = { handlers: {}, hello, signal, clock: options.clock };
    const peer = await connectTo("storage-node", connect, address, how);
    try {
      return (await peer.call("nameServerAddress", {}, { deadlineMillis: limits.connectMillis, signal })).reply;
    } finally {
      peer.close("done");
    }
  };
}

export function addressName({ host, port }: Address): string {
  return `${host.includes(":") ? `[${host}]` : host}:${String(port)}`;
}

const connectionErrors: ReadonlySet<ErrnoName> = new Set([
  "ECONNRESET",
  "ECONNREFUSED",
  "ENOTCONN",
  "EPIPE",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "EHOSTDOWN",
  "ENETDOWN",
  "EPROTO",
]);

/** Whether a call failed on the way (it may have been executed or not), rather than by the other side's answer. */
export function isConnectionError(error: unknown): boolean {
  return error instanceof FsError && connectionErrors.has(errnoOf(error));
}
