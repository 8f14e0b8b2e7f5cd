/**
 * What one file is at the server, as this client knows it: its size, and its extents as they are asked for.
 *
 * Invariant: a reply that a commit or a change has overtaken says nothing about the size, and extents that are being
 * asked for learn of every commit acknowledged meanwhile.
 */
import type { Ino } from "../base/ids.ts";
import type { Extent } from "../protocol/types.ts";
import type { WriteReply } from "./commit-queue.ts";
import type { ContentContext } from "./content-context.ts";
import type { ExtentPage } from "./layout.ts";
import type { ContentOwner } from "./types.ts";

/** Extents that are being asked for. */
interface Asking {
  committed(extents: readonly Extent[]): void;
}

export class ServerFile {
  size: number;
  readonly #context: ContentContext;
  readonly #owner: ContentOwner;
  readonly #isSettled: () => boolean;
  readonly #asking = new Set<Asking>();
  /** Rises with each commit and change, so that older replies are recognised. */
  #version = 0;
  /** Since this moment another size is told than any that is known here, and which of them is newer is not known. */
  #doubtfulSince: number | undefined;

  /** @param isSettled whether no commit and no change of the file is on its way */
  constructor(context: ContentContext, owner: ContentOwner, file: { size: number; isSettled: () => boolean }) {
    this.#context = context;
    this.#owner = owner;
    this.size = file.size;
    this.#isSettled = file.isSettled;
  }

  get ino(): Ino {
    return this.#owner.ino;
  }

  /** Rises with everything that makes an earlier reply old. */
  get version(): number {
    return this.#version;
  }

  get isSizeKnown(): boolean {
    return this.#doubtfulSince === undefined;
  }

  /** Somebody told another size while a commit was on its way: it may be newer than what that commit's reply says. */
  doubtSize(): void {
    this.#doubtfulSince = this.#owner.moment;
  }

  /** One page of the extents in [offset, offset + length), and the size that came with it. */
  async ask(offset: number, length: number, companions: readonly Ino[] = []): Promise<ExtentPage & { size: number }> {
    const version = this.#version;
    const { ino } = this;
    const { insists: insist, moment: since } = this.#owner;
    const request = { ino, offset, length, insist, ...(companions.length === 0 ? {} : { along: [...companions] }) };
    const reply = await this.#context.nameServer.ask("readExtents", request);
    const { attributes, extents, next, others } = reply;
    if (others !== undefined) this.#owner.companionsRead(others, since);
    if (version === this.#version && this.#isSettled()) {
      this.size = attributes.size;
      this.#doubtfulSince = undefined;
      this.#owner.serverAttributes(attributes, since);
    }
    const asked = offset + length;
    const end = next ?? (asked >= this.#context.limits.fileBytesMax ? Infinity : asked);
    return { extents, end, size: attributes.size };
  }

  /** Runs while `asking` learns of commits. */
  async whileAsking<T>(asking: Asking, run: () => Promise<T>): Promise<T> {
    this.#asking.add(asking);
    try {
      return await run();
    } finally {
      this.#asking.delete(asking);
    }
  }

  /** Own extents were committed (inline content borrowed), as was asked for at `since`. */
  committed(extents: readonly Extent[], { attributes }: WriteReply, since: number): void {
    this.#version++;
    this.size = attributes.size;
    if (this.#doubtfulSince !== undefined && since > this.#doubtfulSince) this.#doubtfulSince = undefined;
    for (const asking of this.#asking) asking.committed(extents);
  }

  /** The size was learned elsewhere. */
  changed(size: number): void {
    this.#version++;
    this.size = size;
    this.#doubtfulSince = undefined;
  }
}
