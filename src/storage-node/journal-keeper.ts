/**
 * A storage node's part in the copies of the journal: promises to name servers, the register, and the copy. What carries
 * an epoch that was not promised is refused before anything is done, and again before what it did is recorded.
 *
 * One operation at a time, in the order of arrival. After an error that leaves the disk's state unknown nothing is
 * answered any more, and `failed` rejects: the process has to end.
 */
import type { Disk } from "../base/disk.ts";
import { errnoOf, FsError } from "../base/errno.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import type { NodeIdentity } from "../block-store/identity.ts";
import { journalFolder } from "../journal/journal-files.ts";
import { journalMethods, type JournalMethods, type JournalState } from "../protocol/journal-methods.ts";
import {
  WithPayload,
  type Address,
  type HandlerContext,
  type Handlers,
  type MethodTable,
  type RequestOf,
} from "../rpc/types.ts";
import { IncomingBase, readBase } from "./journal-base.ts";
import { JournalCopy } from "./journal-copy.ts";
import { JournalStateFile, type CopyBase } from "./journal-state.ts";

type Request<M extends keyof JournalMethods> = RequestOf<JournalMethods, M>;

export interface JournalKeeperOptions {
  readonly disk: Disk;
  readonly identity: NodeIdentity;
  readonly log: Log;
  readonly fileBytes?: number;
}

export class JournalKeeper {
  /** Rejects (never resolves) when the disk failed. */
  readonly failed: Promise<never>;
  /** Told when a name server has claimed a higher epoch: the connection to another one is over. */
  onRaised: (epoch: number) => void = () => undefined;
  readonly #options: JournalKeeperOptions;
  readonly #state: JournalStateFile;
  #copy: JournalCopy | undefined;
  #incoming: IncomingBase | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #failure: FsError | undefined;
  #reject: (error: Error) => void = () => undefined;

  private constructor(options: JournalKeeperOptions, state: JournalStateFile, copy: JournalCopy | undefined) {
    this.#options = options;
    this.#state = state;
    this.#copy = copy;
    this.failed = new Promise<never>((_resolve, reject) => {
      this.#reject = reject;
    });
    this.failed.catch(() => undefined);
  }

  static async open(options: JournalKeeperOptions): Promise<JournalKeeper> {
    await options.disk.makeFolder(journalFolder);
    const state = await JournalStateFile.open(options.disk);
    const { copy, epoch, register } = state.now;
    const isMember = register?.members.includes(options.identity.node) === true;
    const opened = copy === null ? undefined : await JournalCopy.open({ ...options, epoch, isMember }, copy);
    return new JournalKeeper(options, state, opened);
  }

  /** The server of the highest epoch, as far as this node knows. */
  get nameServer(): { epoch: number; address: Address | null } {
    const { epoch, address } = this.#state.now;
    return { epoch, address };
  }

  /** Where the nodes are that keep the register, this one among them. */
  get nodes(): readonly Address[] {
    return this.#state.now.register?.nodes.map(({ address }) => address) ?? [];
  }

  get handlers(): Handlers<JournalMethods, MethodTable> {
    return {
      nameServerAddress: () => this.nameServer,
      journalState: (_request, context) => this.#forServer(context, () => this.#describe()),
      raiseEpoch: (request, context) => this.#forServer(context, () => this.#raise(request)),
      confirmEpoch: (request, context) => {
        requireNameServer(context);
        this.#state.check(request);
        return {};
      },
      storeRegister: (request, context) =>
        this.#forServer(context, async () => {
          await this.#state.store(request, request.register);
          return {};
        }),
      putJournalBase: (request, context) => this.#forServer(context, (bytes) => this.#putBase(request, bytes)),
      appendJournal: (request, context) =>
        this.#forServer(context, async (bytes) => {
          this.#state.check(request);
          const end = await this.#present().append(request.after, bytes, this.#state.now.epoch);
          return { end };
        }),
      readJournalBase: (request, context) =>
        this.#reading(context, async () => {
          this.#state.check(request);
          const bytes = await readBase(this.#options.disk, this.#present().base, request.offset, request.length);
          return new WithPayload({}, [bytes]);
        }),
      readJournal: (request, context) =>
        this.#reading(context, async () => {
          this.#state.check(request);
          const records = await this.#present().read(request.first, limits.journalSendBytesMax);
          return new WithPayload({}, records ?? []);
        }),
    };
  }

  async close(): Promise<void> {
    await this.#last;
    await this.#copy?.close();
  }

  #describe(): JournalState {
    const { identity } = this.#options;
    const { epoch, server, register } = this.#state.now;
    const copy = this.#copy;
    return {
      node: identity.node,
      cluster: identity.cluster,
      epoch: Math.max(epoch, identity.epoch),
      server,
      register,
      copy:
        copy === undefined
          ? null
          : { base: copy.base.position, baseBytes: copy.base.bytes, baseCrc: copy.base.crc, end: copy.end },
    };
  }

  async #raise({ epoch, server, cluster, address }: Request<"raiseEpoch">): Promise<JournalState> {
    const { identity } = this.#options;
    if (identity.cluster !== null && identity.cluster !== cluster)
      throw new FsError("EPERM", `node ${identity.node} belongs to cluster ${identity.cluster}, not to ${cluster}`);
    const before = this.#state.now.epoch;
    // First what guards blocks: who cannot order deletions any more must not be able to think that it may serve.
    await identity.obey(epoch);
    await this.#state.raise({ epoch, server }, address);
    if (epoch > before) this.onRaised(epoch);
    return this.#describe();
  }

  async #putBase(request: Request<"putJournalBase">, bytes: Buffer): Promise<Record<string, never>> {
    this.#state.check(request);
    const base: CopyBase = { position: request.base, bytes: request.bytes, crc: request.crc };
    const { disk, identity } = this.#options;
    const { register, epoch } = this.#state.now;
    if (request.start !== null && this.#copy !== undefined && register?.members.includes(identity.node) === true)
      throw new FsError("EBUSY", `node ${identity.node} is a member: its copy is not begun anew`);
    if (request.start === null && request.base.index > this.#present().end.index)
      throw new FsError("EINVAL", "the base is beyond the copy");
    if (request.offset === 0) this.#incoming = await IncomingBase.begin(disk, base);
    const incoming = this.#incoming;
    if (incoming?.expects(base, request.offset) !== true) throw new FsError("EINVAL", "not the next piece of a base");
    if (!(await incoming.take(bytes))) return {};
    this.#incoming = undefined;
    const old = this.#copy;
    if (request.start === null) {
      const description = { base, firstSequence: this.#present().description.firstSequence };
      await this.#state.describe(request, description);
      await this.#present().rebase(description);
      return {};
    }
    const firstSequence = Math.max(old?.nextSequence ?? 0, (this.#state.now.copy?.firstSequence ?? 0) + 1);
    const description = { base, firstSequence };
    await this.#state.describe(request, description);
    this.#copy = undefined;
    await old?.close();
    this.#copy = await JournalCopy.begin({ ...this.#options, epoch }, description, request.start);
    return {};
  }

  #present(): JournalCopy {
    if (this.#copy === undefined) throw new FsError("ENOENT", "this node has no copy of the journal");
    return this.#copy;
  }

  /** As `#forServer`, but what fails has changed nothing: damage is told, and this process goes on. */
  async #reading<T>(context: HandlerContext<MethodTable>, read: () => Promise<T>): Promise<T> {
    const outcome = await this.#forServer(context, () =>
      read().then(
        (value) => ({ value }),
        (error: unknown) => ({ error }),
      ),
    );
    if ("error" in outcome) throw outcome.error;
    return outcome.value;
  }

  /** One after the other; releases the payload. */
  async #forServer<T>(context: HandlerContext<MethodTable>, act: (payload: Buffer) => T | Promise<T>): Promise<T> {
    const { payload } = context;
    try {
      requireNameServer(context);
      const result = this.#last.then(async () => {
        if (this.#failure !== undefined) throw this.#failure;
        return act(payload.bytes);
      });
      this.#last = result.catch((error: unknown) => {
        if (!refusals.has(errnoOf(error))) this.#fail(error);
      });
      return await result;
    } finally {
      payload.release();
    }
  }

  #fail(cause: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = new FsError("EIO", "the copy of the journal cannot be kept: this process must end", { cause });
    this.#options.log.error({ err: cause }, "the copy of the journal failed");
    this.#reject(this.#failure);
  }
}

/** What a node answers that may have none. */
export function journalHandlers(keeper: JournalKeeper | undefined): Handlers<JournalMethods, MethodTable> {
  if (keeper !== undefined) return keeper.handlers;
  const refuse = (): never => {
    throw new FsError("EOPNOTSUPP", "this node keeps no copy of the journal");
  };
  const names = Object.keys(journalMethods);
  return Object.fromEntries(names.map((name) => [name, refuse])) as unknown as Handlers<JournalMethods, MethodTable>;
}

/** Errors that leave everything as it was. */
const refusals: ReadonlySet<string> = new Set(["EPERM", "ESTALE", "EINVAL", "EBUSY", "ENOENT", "ENOSPC", "EBADMSG"]);

function requireNameServer({ peer }: HandlerContext<MethodTable>): void {
  if (peer.remote.role === "name-server") return;
  throw new FsError("EPERM", `only for name servers, and ${peer.remote.id} is ${peer.remote.role}`);
}
