/**
 * The copies of the journal at work: which nodes have to have a record before it counts (the members), who replaces one
 * that is silent, and whether this server may serve at all.
 *
 * Invariants: a record is acknowledged only when every member of the register in effect, and of one on its way there, has
 * it on disk; a register is in effect once enough nodes of its own list and of the one before have stored it; a node
 * becomes a member only when its copy has everything; the last member is left out only for another one (until then
 * nothing is acknowledged); a server that a node refused for a higher epoch is deposed, for ever.
 */
import type { Clock } from "../../base/clock.ts";
import { deferred, type Deferred } from "../../base/deferred.ts";
import { errnoOf, FsError } from "../../base/errno.ts";
import type { ClusterId, NodeId } from "../../base/ids.ts";
import type { Log } from "../../base/log.ts";
import type { JournalCopies, JournalRecord } from "../../metadata-store/types.ts";
import type { Claim, JournalRegister, JournalState } from "../../protocol/journal-methods.ts";
import { Confirmations } from "./confirmations.ts";
import { chooseMembers } from "./choose.ts";
import { Feed } from "./feed.ts";
import { Follower } from "./follower.ts";
import { areEnough, sameContent } from "./register.ts";
import { Silence } from "./silence.ts";
import type { CopyNode, CopyOptions, CopyPeer } from "./types.ts";

export interface CopiesParts extends CopyOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly cluster: () => ClusterId;
  /** Members wanted: replicas - 1. */
  readonly wanted: number;
  /** All storage nodes that belong to the cluster and are not given up. */
  readonly nodes: () => readonly CopyNode[];
}

/** How long a node may take to store the register. */
const storeMillis = 5_000;

export class Copies implements JournalCopies {
  /** Rejects (never resolves) when another server has taken over: this process must end. */
  readonly deposed: Promise<never>;
  readonly feed: Feed;
  readonly confirmations: Confirmations;
  readonly #parts: CopiesParts;
  readonly #peers = new Map<NodeId, CopyPeer>();
  readonly #followers = new Map<NodeId, Follower>();
  /** They copy, and will be members: what is written from now on waits for them, too. */
  readonly #joining = new Map<NodeId, number>();
  readonly #lost = new Set<NodeId>();
  readonly #silence: Silence;
  readonly #deposed: Deferred<never> = deferred();
  #register: JournalRegister | undefined;
  #next: JournalRegister | undefined;
  #isStoring = false;
  #epoch = 0;
  #hasBegun = false;
  #isDeposed = false;
  #isClosed = false;
  #waiting: { readonly index: number; readonly done: Deferred<void> }[] = [];

  constructor(parts: CopiesParts) {
    this.#parts = parts;
    this.deposed = this.#deposed.promise;
    this.feed = new Feed(parts.source);
    this.#silence = new Silence(parts.clock);
    this.confirmations = new Confirmations(parts.clock, () => this.claim, this.#onRefused);
  }

  get claim(): Claim {
    return { epoch: this.#epoch, server: this.#parts.server };
  }
  /** In effect; undefined: no node has ever kept one. */
  get register(): JournalRegister | undefined {
    return this.#register;
  }
  get isDeposed(): boolean {
    return this.#isDeposed;
  }
  get isWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** Whether enough nodes confirmed lately that no other server has taken over. */
  get isConfirmed(): boolean {
    return !this.#isDeposed && this.confirmations.areEnoughFor(this.#registers);
  }
  /** Whether the register in effect is of this epoch. */
  get isInEffect(): boolean {
    return (
      this.#register === undefined ||
      (this.#register.epoch === this.#epoch && this.#register.server === this.#parts.server)
    );
  }

  /** What nodes are asked to obey from here on. */
  claimEpoch(epoch: number): void {
    this.#epoch = epoch;
  }

  /**
   * From here on records are copied, to the members of this register first; called once, after `claimEpoch`.
   * @param lost nodes that nobody waits for until they come back
   */
  begin(register: JournalRegister | undefined, lost: ReadonlySet<NodeId> = new Set()): void {
    this.#register = register;
    for (const node of lost) this.#lost.add(node);
    this.#hasBegun = true;
    this.#parts.source.copyTo(this);
    for (const node of register?.members ?? []) this.#follow(node);
  }

  append(record: JournalRecord): Promise<void> | undefined {
    this.feed.add(record);
    for (const follower of this.#followers.values()) follower.poke();
    return this.have(record.end.index);
  }

  /** Resolves when all members have everything up to there; undefined: they have, or there are none. */
  have(index: number): Promise<void> | undefined {
    if (this.#isClosed || this.#isCopied(index)) return undefined;
    const done = deferred<void>();
    this.#waiting.push({ index, done });
    this.#silence.begin([...this.#required]);
    return done.promise;
  }

  /**
   * A node that has connected, with what it said, is asked to obey; then it takes part. Resolves with what it has by then.
   * Rejects when it obeys another one: then this server is deposed.
   */
  async admit(node: NodeId, peer: CopyPeer): Promise<JournalState> {
    const { cluster, address, clock } = this.#parts;
    const sentAt = clock.monotonicMillis();
    try {
      const { reply } = await peer.call("raiseEpoch", { ...this.claim, cluster: cluster(), address });
      this.confirmations.confirmed(node, sentAt);
      this.#peers.set(node, peer);
      this.#lost.delete(node);
      void peer.closed.then(() => {
        if (this.#peers.get(node) === peer) this.#peers.delete(node);
      });
      this.#followers.get(node)?.poke();
      return reply;
    } catch (error) {
      if (errnoOf(error) === "ESTALE") this.#depose(node, error);
      throw error;
    }
  }

  /** Twice a second. */
  tick(): void {
    if (this.#isDeposed || this.#isClosed || !this.#hasBegun) return;
    this.#silence.tick();
    this.confirmations.ask(this.#peers);
    this.#reconcile();
  }

  /** The newest snapshot is on this disk. */
  renewBases(): void {
    for (const follower of this.#followers.values()) follower.renewBase();
  }

  /** Nobody is answered any more: what is still written stays here, and is copied at the next start. */
  close(): void {
    this.#isClosed = true;
    for (const follower of this.#followers.values()) follower.stop();
    for (const { done } of this.#waiting.splice(0)) done.resolve();
  }

  /** For status: who has everything, who copies, whom everything waits for. */
  describe(): { members: { node: NodeId; complete: boolean; behind: number | null }[]; awaited: NodeId[] } {
    const end = this.feed.end.index;
    const members = [...this.#followers].map(([node, follower]) => ({
      node,
      complete: this.#register?.members.includes(node) === true,
      behind: follower.end === undefined ? null : end - follower.end.index,
    }));
    const [first] = this.#waiting;
    const awaited = first === undefined ? [] : [...this.#required].filter((node) => !this.#has(node, first.index));
    return { members, awaited };
  }

  get #registers(): JournalRegister[] {
    return [this.#register, this.#next].filter((register) => register !== undefined);
  }

  get #required(): ReadonlySet<NodeId> {
    return new Set([...this.#registers.flatMap(({ members }) => members), ...this.#joining.keys()]);
  }

  #has(node: NodeId, index: number): boolean {
    return (this.#followers.get(node)?.end?.index ?? -1) >= index;
  }

  #isCopied(index: number): boolean {
    for (const node of this.#required) if (!this.#has(node, index)) return false;
    return true;
  }

  readonly #onRefused = (node: NodeId, peer: CopyPeer): void => {
    // Perhaps it has only not promised yet; if it has promised another one, it says so.
    this.admit(node, peer).catch(() => undefined);
  };

  #depose(node: NodeId, cause: unknown): void {
    if (this.#isDeposed || this.#isClosed) return;
    this.#isDeposed = true;
    this.#parts.log.error({ node, err: cause }, "another name server has taken over");
    const advice = "another name server has taken over this cluster: this one ends, and must not be started again";
    this.#deposed.reject(new FsError("ESTALE", advice, { cause }));
  }

  #onProgress(node: NodeId, sentAt: number): void {
    this.confirmations.confirmed(node, sentAt);
    this.#silence.heard(node);
    this.#wakeWaiting();
    if (this.#waiting.length > 0) return;
    if (this.#followers.get(node)?.isNear === true && this.#register?.members.includes(node) !== true)
      this.#reconcile();
  }

  #follow(node: NodeId): void {
    if (this.#followers.has(node)) return;
    const follower: Follower = new Follower({
      ...this.#parts,
      node,
      feed: this.feed,
      claim: () => this.claim,
      peer: () => this.#peers.get(node),
      onProgress: (sentAt) => {
        this.#onProgress(node, sentAt);
      },
      onRefused: () => {
        const peer = this.#peers.get(node);
        if (peer !== undefined) this.#onRefused(node, peer);
      },
    });
    this.#followers.set(node, follower);
  }

  #unfollow(node: NodeId): void {
    this.#followers.get(node)?.stop();
    this.#followers.delete(node);
    this.#joining.delete(node);
  }

  /** Brings the register to what the nodes and their copies are now. */
  #reconcile(): void {
    if (this.#isStoring) return;
    const nodes = this.#parts.nodes().filter(({ node }) => !this.#lost.has(node));
    if (this.#next === undefined) {
      if (this.#register === undefined && nodes.length === 0) return;
      this.#next = this.#wantedRegister(nodes);
    }
    this.#wakeWaiting();
    if (this.#next === undefined) return;
    this.#isStoring = true;
    void this.#store(this.#next).finally(() => {
      this.#isStoring = false;
    });
  }

  /** It leaves a record unanswered that waits for it, or has had no connection for a while. */
  #isSilent(node: NodeId): boolean {
    const isGone = this.#silence.isGone(node, this.#peers.has(node));
    return isGone || (this.#required.has(node) && this.#silence.isSilent(node));
  }

  /** Undefined: the present one is right. */
  #wantedRegister(nodes: readonly CopyNode[]): JournalRegister | undefined {
    const present = this.#register?.members ?? [];
    const choice = chooseMembers({
      nodes,
      present,
      wanted: this.#parts.wanted,
      isConnected: (node) => this.#peers.has(node),
      isSilent: (node) => this.#isSilent(node),
      following: [...this.#followers.keys()],
    });
    for (const node of this.#followers.keys()) {
      if (!present.includes(node) && !choice.candidates.includes(node)) this.#unfollow(node);
    }
    const ready: NodeId[] = [];
    for (const node of choice.candidates) {
      this.#follow(node);
      // From here on nothing is acknowledged without it; what is written by now it must have before it counts.
      if (this.#followers.get(node)?.isNear === true && !this.#joining.has(node)) {
        this.#joining.set(node, this.feed.end.index);
        this.#silence.heard(node);
      }
      const from = this.#joining.get(node);
      if (from !== undefined && this.#has(node, from)) ready.push(node);
    }
    const found = [...choice.kept, ...ready];
    const members = found.length === 0 && this.#parts.wanted > 0 ? [...present] : found;
    const wanted: JournalRegister = {
      ...this.claim,
      generation: (this.#register?.generation ?? 0) + 1,
      members,
      nodes: nodes.map(({ node, address }) => ({ node, address })),
    };
    const isSame =
      this.#register?.epoch === wanted.epoch &&
      this.#register.server === wanted.server &&
      sameContent(this.#register, wanted);
    return isSame ? undefined : wanted;
  }

  /** Tries once to bring a register into effect. Never rejects. */
  async #store(register: JournalRegister): Promise<void> {
    const stored = new Set<NodeId>();
    const calls = [...this.#peers].map(async ([node, peer]) => {
      const sentAt = this.#parts.clock.monotonicMillis();
      try {
        await peer.call("storeRegister", { ...this.claim, register }, { deadlineMillis: storeMillis });
        this.confirmations.confirmed(node, sentAt);
        stored.add(node);
      } catch (error) {
        if (errnoOf(error) === "ESTALE") this.#onRefused(node, peer);
      }
      if (this.#next === register && areEnough(stored, this.#registers)) this.#inEffect(register);
    });
    await Promise.all(calls);
  }

  #inEffect(register: JournalRegister): void {
    const { log } = this.#parts;
    log.info(
      { generation: register.generation, members: register.members, nodes: register.nodes.length },
      "journal copies",
    );
    this.#register = register;
    this.#next = undefined;
    this.#parts.onRegister?.(register);
    for (const node of register.members) this.#joining.delete(node);
    for (const node of [...this.#followers.keys()]) {
      if (!register.members.includes(node) && !this.#joining.has(node)) this.#unfollow(node);
    }
    this.#wakeWaiting();
  }

  #wakeWaiting(): void {
    while (this.#waiting[0] !== undefined && this.#isCopied(this.#waiting[0].index))
      this.#waiting.shift()?.done.resolve();
    if (this.#waiting.length === 0) this.#silence.end();
  }
}
