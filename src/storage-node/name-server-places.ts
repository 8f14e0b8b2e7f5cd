/**
 * Where this node looks for the name server: where the server that it has promised to obey said that it is, at the
 * addresses that it was given, and, when nobody answers there, where other nodes say. A node that was away while another
 * server took over finds that one so.
 */
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import { askNodes, type AskOptions, type ServerHint } from "../protocol/ask-nodes.ts";
import type { Address } from "../rpc/types.ts";
import type { JournalKeeper } from "./journal-keeper.ts";

export interface NameServerPlacesOptions {
  readonly given: readonly Address[];
  readonly journal: Pick<JournalKeeper, "nameServer" | "nodes"> | undefined;
  /** Other than this node's own. */
  readonly isOther: (address: Address) => boolean;
  readonly ask: AskOptions["ask"];
  readonly clock: Clock;
  readonly random: Random;
}

export class NameServerPlaces {
  readonly #options: NameServerPlacesOptions;
  #hint: ServerHint | undefined;
  #left: Address[] = [];
  #hasFailed = false;

  constructor(options: NameServerPlacesOptions) {
    this.#options = options;
  }

  /** The next one to try; other nodes are asked between two rounds through all. */
  async next(signal: AbortSignal): Promise<Address> {
    if (this.#left.length === 0) {
      if (this.#hasFailed) await this.#ask(signal);
      this.#left = this.#all();
      this.#hasFailed = true;
    }
    return this.#left.shift() as Address;
  }

  /** The node is registered: it begins anew when it loses that. */
  registered(): void {
    this.#left = [];
    this.#hasFailed = false;
  }

  #all(): Address[] {
    const { given, journal } = this.#options;
    const own = journal?.nameServer;
    const hinted = (this.#hint?.epoch ?? -1) > (own?.epoch ?? -1) ? this.#hint?.address : undefined;
    const all = [hinted, own?.address ?? undefined, ...given].filter((address) => address !== undefined);
    return all.filter((one, at) => all.findIndex(({ host, port }) => host === one.host && port === one.port) === at);
  }

  async #ask(signal: AbortSignal): Promise<void> {
    const { journal, isOther, ask, clock, random } = this.#options;
    const others = (journal?.nodes ?? []).filter(isOther);
    this.#hint = (await askNodes(others, { ask, clock, random, signal })) ?? this.#hint;
  }
}
