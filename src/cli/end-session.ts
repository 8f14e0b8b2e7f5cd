/**
 * Ends a session whose client has died, so that nobody waits until it expires. Only for one of which the kernel remembers
 * nothing any more: what it had leased is given away.
 */
import { sleep, type Clock } from "../base/clock.ts";
import type { SessionId } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import { connectServer } from "../remote/connect-server.ts";
import type { Surroundings } from "../rpc/open.ts";
import type { Address } from "../rpc/types.ts";

export interface EndSessionParts {
  readonly surroundings: Surroundings;
  /** Of name servers or storage nodes, tried until the time is over. */
  readonly addresses: readonly Address[];
  readonly clientName: string;
  readonly signal: AbortSignal;
}

/** Resolves also when it could not be ended: after its time to live it has expired. */
export async function endSession(session: SessionId, parts: EndSessionParts): Promise<void> {
  const { surroundings, signal } = parts;
  const { clock, log } = surroundings;
  const until = clock.monotonicMillis() + limits.sessionTtlMillis;
  for (;;) {
    try {
      await endOnce(session, parts);
      return;
    } catch (error) {
      if (clock.monotonicMillis() >= until) return;
      await pauseAfter(error, { session, clock, log, signal });
    }
  }
}

/** By going on with it over a connection of our own. */
async function endOnce(session: SessionId, parts: EndSessionParts): Promise<void> {
  const { surroundings, addresses, clientName, signal } = parts;
  const hello = { role: "client", id: clientName } as const;
  const peer = await connectServer(surroundings, { addresses, hello, ownTable: {}, handlers: {}, signal });
  try {
    await peer.call("openSession", { resume: session, clientName: parts.clientName });
    // Of the old one, or, if that had ended already, of the one that was opened instead.
    await peer.call("closeSession", {});
  } finally {
    peer.close("done");
  }
}

async function pauseAfter(
  error: unknown,
  { session, clock, log, signal }: { session: SessionId; clock: Clock; log: Log; signal: AbortSignal },
): Promise<void> {
  log.warn({ session, problem: String(error) }, "the session of a driver that died was not ended yet");
  await sleep(clock, limits.reconnectMillisMax, signal);
}
