/**
 * Asking storage nodes where the name server of the highest epoch is (`nameServerAddress`). Whoever lost it does so:
 * clients, commands, storage nodes. What they say is a hint: who is found there still has to prove what it is.
 */
import { sleep, type Clock } from "../base/clock.ts";
import { limits } from "../base/limits.ts";
import type { Random } from "../base/random.ts";

interface Address {
  readonly host: string;
  readonly port: number;
}

/** What one node has promised, and where the server that it promised it to said that it is; null: it did not. */
export interface Promised {
  readonly epoch: number;
  readonly address: Address | null;
}

/** Where the server of an epoch is to be found. */
export interface ServerHint {
  readonly epoch: number;
  readonly address: Address;
}

export interface AskOptions {
  /** Connects, within `limits.connectMillis`, and asks; rejects for what is no storage node, or does not answer. */
  readonly ask: (address: Address, signal: AbortSignal) => Promise<Promised>;
  readonly clock: Clock;
  readonly random: Random;
  /** Ends the questions. */
  readonly signal: AbortSignal;
}

/** Others that are as near have answered by then. */
const graceMillis = 300;

/**
 * Asks some of these at the same time, chosen at random: waits for the first answer, and then a little for the others.
 * Resolves with the newest, undefined when nobody knows an address. Never rejects.
 */
export async function askNodes(addresses: readonly Address[], options: AskOptions): Promise<ServerHint | undefined> {
  const { ask, clock, random, signal } = options;
  const ending = new AbortController();
  const end = (): void => {
    ending.abort();
  };
  signal.addEventListener("abort", end, { once: true });
  if (signal.aborted) end();
  let newest: ServerHint | undefined;
  const answered = async (address: Address): Promise<void> => {
    const promised = await ask(address, ending.signal);
    if (promised.address === null || promised.epoch <= (newest?.epoch ?? -1)) return;
    newest = { epoch: promised.epoch, address: promised.address };
  };
  const answers = someOf(addresses, random).map(answered);
  const all = Promise.allSettled(answers);
  const first = Promise.any(answers).then(
    () => sleep(clock, graceMillis, ending.signal),
    () => undefined,
  );
  try {
    await Promise.race([all, first]).catch(() => undefined);
  } finally {
    signal.removeEventListener("abort", end);
    // Who has not answered is not waited for.
    end();
    await all;
  }
  return newest;
}

function someOf(addresses: readonly Address[], random: Random): Address[] {
  const left = [...addresses];
  const chosen: Address[] = [];
  while (left.length > 0 && chosen.length < limits.nodesAskedMax)
    chosen.push(...left.splice(random.below(left.length), 1));
  return chosen;
}
