/**
 * Blocks that were written and will not be named, told to the name server, many at a time. What is not told is deleted
 * when the session ends.
 */
import type { Clock } from "../base/clock.ts";
import type { BlockId, SessionId } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import type { NameServer } from "./types.ts";

const tellMillis = 1_000;

export class UnusedBlocks {
  readonly #options: { nameServer: Pick<NameServer, "change" | "session">; clock: Clock; log: Log };
  #blocks: BlockId[] = [];
  #session: SessionId | undefined;
  #isWaiting = false;

  constructor(options: { nameServer: Pick<NameServer, "change" | "session">; clock: Clock; log: Log }) {
    this.#options = options;
  }

  add(block: BlockId): void {
    const { nameServer, clock } = this.#options;
    if (nameServer.session !== this.#session) this.#blocks = [];
    this.#session = nameServer.session;
    if (this.#blocks.length < limits.blocksPerOrderMax) this.#blocks.push(block);
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    clock.after(tellMillis, () => void this.#tell(), { unref: true });
  }

  async #tell(): Promise<void> {
    const { nameServer, log } = this.#options;
    this.#isWaiting = false;
    const blocks = this.#blocks;
    this.#blocks = [];
    if (nameServer.session !== this.#session) return;
    try {
      await nameServer.change("discardBlocks", { blocks });
    } catch (error) {
      log.debug({ blocks: blocks.length, err: error }, "the name server was not told about unused blocks");
    }
  }
}
