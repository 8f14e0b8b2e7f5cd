/**
 * What a storage node has promised to name servers, and which copy of the journal it has: the file `register.json` of its
 * folder, replaced as a whole, with a checksum over its content.
 *
 * Invariants: the promised epoch never goes down, and belongs to one server; the register never goes back; what is told
 * to others is durable.
 */
import type { Disk } from "../base/disk.ts";
import { FsError } from "../base/errno.ts";
import type { Position } from "../journal/position.ts";
import { readCheckedJson, writeCheckedJson } from "../journal/checked-json.ts";
import type { Claim, JournalRegister } from "../protocol/journal-methods.ts";
import type { Address } from "../rpc/types.ts";

const path = "register.json";

/** The base's file is `journal/<index>.base`; it has none where `bytes` is 0. */
export interface CopyBase {
  readonly position: Position;
  readonly bytes: number;
  readonly crc: number;
}

/** Journal files below `firstSequence` belong to an earlier copy. */
export interface CopyDescription {
  readonly base: CopyBase;
  readonly firstSequence: number;
}

interface Fields {
  readonly epoch: number;
  readonly server: string | null;
  readonly address: Address | null;
  readonly register: JournalRegister | null;
  readonly copy: CopyDescription | null;
}

export type PromisedState = Fields;

const nothingYet: Fields = { epoch: 0, server: null, address: null, register: null, copy: null };

export class JournalStateFile {
  readonly #disk: Disk;
  #fields: Fields;
  #last: Promise<void> = Promise.resolve();

  private constructor(disk: Disk, fields: Fields) {
    this.#disk = disk;
    this.#fields = fields;
  }

  /** Rejects with EIO when the file is damaged: without its promises the node may not take part. */
  static async open(disk: Disk): Promise<JournalStateFile> {
    return new JournalStateFile(disk, await load(disk));
  }

  get now(): PromisedState {
    return this.#fields;
  }

  /** Throws ESTALE unless the claim is the one that was promised. */
  check({ epoch, server }: Claim): void {
    const { now } = this;
    if (epoch === now.epoch && server === now.server) return;
    throw new FsError(
      "ESTALE",
      `epoch ${String(epoch)} of server ${server} is not obeyed here: this node has promised epoch ${String(now.epoch)} of ` +
        `server ${String(now.server)}`,
    );
  }

  /** Durable when it resolves. ESTALE as `check`, but a higher epoch is promised. */
  raise({ epoch, server }: Claim, address: Address | null): Promise<void> {
    return this.#change((now) => {
      if (epoch < now.epoch || (epoch === now.epoch && server !== now.server)) this.check({ epoch, server });
      if (epoch === now.epoch && address?.host === now.address?.host && address?.port === now.address?.port) return now;
      return { ...now, epoch, server, address };
    });
  }

  store(claim: Claim, register: JournalRegister): Promise<void> {
    return this.#change((now) => {
      this.check(claim);
      const { register: old } = now;
      if (old !== null && register.epoch === old.epoch && register.generation <= old.generation) {
        if (JSON.stringify(old) === JSON.stringify(register)) return now;
        throw new FsError("ESTALE", `generation ${String(register.generation)} is over`);
      }
      return { ...now, register };
    });
  }

  describe(claim: Claim, copy: CopyDescription | null): Promise<void> {
    return this.#change((now) => {
      this.check(claim);
      return { ...now, copy };
    });
  }

  #change(next: (now: Fields) => Fields): Promise<void> {
    const result = this.#last.then(async () => {
      const changed = next(this.#fields);
      if (changed === this.#fields) return;
      await writeCheckedJson(this.#disk, path, changed);
      this.#fields = changed;
    });
    this.#last = result.catch(() => undefined);
    return result;
  }
}

async function load(disk: Disk): Promise<Fields> {
  try {
    return ((await readCheckedJson(disk, path)) as Fields | undefined) ?? nothingYet;
  } catch (cause) {
    throw new FsError(
      "EIO",
      `${disk.root}/${path} is damaged: what this node has promised to name servers is unknown; give it an empty folder`,
      { cause },
    );
  }
}
