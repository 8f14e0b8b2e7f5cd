/**
 * Where the name server may be: at the addresses that this client was given, where it was last, and where storage nodes
 * say that the server of the highest epoch is. Any of the given addresses may be a storage node's, too.
 *
 * Nodes are asked only when a server does not answer: some at a time, with pauses that grow to `limits.askNodesMillisMax`.
 * What they said is tried in each round until a session is open somewhere.
 */
import type { Clock } from "../base/clock.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import { askNodes, type AskOptions, type ServerHint } from "../protocol/ask-nodes.ts";
import type { Address } from "../rpc/types.ts";
import { addressName } from "./connect.ts";

export interface ServerPlacesOptions {
  /** Of name servers or storage nodes, at least one. */
  readonly given: readonly Address[];
  /** Where the name server was last, as another client knew. */
  readonly last: Address | undefined;
  /** Of the storage nodes that are known by now. */
  readonly nodes: () => readonly Address[];
  /** The highest epoch of a server that this client has had a session with. */
  readonly epoch: () => number;
  readonly ask: AskOptions["ask"];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

const firstPauseMillis = 500;

export class ServerPlaces {
  readonly #options: ServerPlacesOptions;
  /** What answered the last question, as storage nodes: no session is looked for there. */
  readonly #nodes = new Set<string>();
  #last: Address | undefined;
  #hint: ServerHint | undefined;
  #askAt = -Infinity;
  #pauseMillis = firstPauseMillis;

  constructor(options: ServerPlacesOptions) {
    this.#options = options;
    this.#last = options.last;
  }

  /** The addresses to try, each once; nodes are asked when the first of them was in vain. */
  async *round(signal: AbortSignal): AsyncGenerator<Address, void, undefined> {
    const { given } = this.#options;
    const tried = new Set<string>();
    const isNew = (address: Address | undefined): address is Address => {
      if (address === undefined || tried.has(addressName(address))) return false;
      tried.add(addressName(address));
      return true;
    };
    const first = this.#newer ?? this.#last ?? given[0];
    if (isNew(first)) yield first;
    await this.#ask(signal);
    const servers = given.filter((address) => !this.#nodes.has(addressName(address)));
    for (const address of [this.#hinted, this.#last, ...servers]) if (isNew(address)) yield address;
  }

  /** Whether there may be a name server at another one of the given addresses. */
  hasOthers(address: Address): boolean {
    const here = addressName(address);
    return this.#options.given.map(addressName).some((name) => name !== here && !this.#nodes.has(name));
  }

  /** Asks whether a server of a higher epoch is somewhere else than at this address. */
  async isOvertaken(address: Address, signal: AbortSignal): Promise<boolean> {
    await this.#ask(signal);
    return this.#newer !== undefined && addressName(this.#newer) !== addressName(address);
  }

  /** A session is open there. */
  reached(address: Address): void {
    this.#last = address;
    this.#askAt = -Infinity;
    this.#pauseMillis = firstPauseMillis;
  }

  /** Where the session was opened or resumed last. */
  get last(): Address | undefined {
    return this.#last;
  }

  /** What nodes say, unless this client knows better. */
  get #hinted(): Address | undefined {
    return (this.#hint?.epoch ?? -1) >= this.#options.epoch() ? this.#hint?.address : undefined;
  }

  get #newer(): Address | undefined {
    return (this.#hint?.epoch ?? -1) > this.#options.epoch() ? this.#hint?.address : undefined;
  }

  async #ask(signal: AbortSignal): Promise<void> {
    const { given, nodes, ask, clock, random, log } = this.#options;
    const now = clock.monotonicMillis();
    if (now < this.#askAt) return;
    this.#askAt = now + this.#pauseMillis;
    this.#pauseMillis = Math.min(2 * this.#pauseMillis, limits.askNodesMillisMax);
    this.#nodes.clear();
    const hint = await askNodes(distinct([...given, ...nodes()]), {
      ...{ clock, random, signal },
      ask: async (address, asking) => {
        const promised = await ask(address, asking);
        this.#nodes.add(addressName(address));
        return promised;
      },
    });
    if (hint === undefined || hint.epoch < (this.#hint?.epoch ?? 0)) return;
    if (hint.epoch > (this.#hint?.epoch ?? 0))
      log.info({ server: addressName(hint.address), epoch: hint.epoch }, "storage nodes say where the name server is");
    this.#hint = hint;
  }
}

function distinct(addresses: readonly Address[]): Address[] {
  return [...new Map(addresses.map((address) => [addressName(address), address])).values()];
}
