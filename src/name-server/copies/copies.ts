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
import { errnoOf, type FsError } from "../../base/errno.ts";
import type { ClusterId, NodeId } from "../../base/ids.ts";
import type { Log } from "../../base/log.ts";
import type { JournalCopies, JournalRecord } from "../../metadata-store/types.ts";
import type { Claim, JournalRegister, JournalState } from "../../protocol/journal-methods.ts";
import { Confirmations } from "./confirmations.ts";
import { chooseMembers } from "./choose.ts";
import { Feed } from "./feed.ts";
import { Followers } from "./followers.ts";
import { areEnough, isNamedIn, isNewer, successor } from "./register.ts";
import { Silence } from "./silence.ts";
import { storeRegister } from "./store-register.ts";
import { claimed } from "./taken-over.ts";
import { WaitingRecords } from "./waiting-records.ts";
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

export class Copies implements JournalCopies {
  /** Rejects (never resolves) when another server has taken over: this process must end. */
  readonly deposed: Promise<never>;
  readonly feed: Feed;
  readonly confirmations: Confirmations;
  readonly #parts: CopiesParts;
  readonly #peers = new Map<NodeId, CopyPeer>();
  readonly #followers: Followers;
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
  readonly #waiting = new WaitingRecords();

  constructor(parts: CopiesParts) {
    this.#parts = parts;
    this.deposed = this.#deposed.promise;
    this.feed = new Feed(parts.source);
    this.#silence = new Silence(parts.clock);
    this.#followers = new Followers({
      ...{ ...parts, feed: this.feed, claim: () => this.claim },
      peer: (node) => this.#peers.get(node),
      onProgress: (node, sentAt) => {
        this.#onProgress(node, sentAt);
      },
      onRefused: (node, peer) => {
        this.#onRefused(node, peer);
      },
    });
    this.confirmations = new Confirmations(parts.clock, () => this.claim, this.#onRefused);
  }

  get claim(): Claim {
    return { epoch: this.#epoch, server: this.#parts.server };
  }
  /** In effect; undefined: no node has ever kept one. */
  get register(): JournalRegister | undefined {
    return this.#register;
  }
  /** It, and the one on its way there. */
  get registers(): JournalRegister[] {
    return [this.#register, this.#next].filter((register) => register !== undefined);
  }
  get isDeposed(): boolean {
    return this.#isDeposed;
  }
  get isWaiting(): boolean {
    return this.#waiting.first !== undefined;
  }

  /** Whether enough nodes confirmed lately that no other server has taken over. */
  get isConfirmed(): boolean {
    return !this.#isDeposed && this.confirmations.areEnoughFor(this.registers);
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
    for (const node of register?.members ?? []) this.#followers.follow(node);
  }

  append(record: JournalRecord): Promise<void> | undefined {
    this.feed.add(record);
    this.#followers.pokeAll();
    return this.have(record.end.index);
  }

  /** Resolves when all members have everything up to there; undefined: they have, or there are none. */
  have(index: number): Promise<void> | undefined {
    if (this.#isClosed || this.#isCopied(index)) return undefined;
    this.#silence.begin([...this.#required]);
    return this.#waiting.wait(index);
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
      await this.#tell(node, peer, reply.register);
      this.#followers.poke(node);
      return reply;
    } catch (error) {
      if (errnoOf(error) === "ESTALE") this.depose(claimed(error));
      throw error;
    }
  }

  /** The cluster is, or may be, another server's: nothing is answered any more. */
  depose(why: FsError): void {
    if (this.#isDeposed || this.#isClosed) return;
    this.#isDeposed = true;
    this.#deposed.reject(why);
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
    this.#followers.renewBases();
  }

  /** Nobody is answered any more: what is still written stays here, and is copied at the next start. */
  close(): void {
    this.#isClosed = true;
    this.#followers.stop();
    this.#waiting.release();
  }

  /** For status: who has everything, who copies, whom everything waits for. */
  describe(): { members: { node: NodeId; complete: boolean; behind: number | null }[]; awaited: NodeId[] } {
    const end = this.feed.end.index;
    const members = this.#followers.nodes.map((node) => {
      const has = this.#followers.end(node);
      const complete = this.#register?.members.includes(node) === true;
      return { node, complete, behind: has === undefined ? null : end - has };
    });
    const { first } = this.#waiting;
    const awaited = first === undefined ? [] : [...this.#required].filter((node) => !this.#followers.has(node, first));
    return { members, awaited };
  }

  get #required(): ReadonlySet<NodeId> {
    return new Set([...this.registers.flatMap(({ members }) => members), ...this.#followers.joining]);
  }

  #isCopied(index: number): boolean {
    for (const node of this.#required) if (!this.#followers.has(node, index)) return false;
    return true;
  }

  readonly #onRefused = (node: NodeId, peer: CopyPeer): void => {
    // Perhaps it has only not promised yet; if it has promised another one, it says so.
    this.admit(node, peer).catch(() => undefined);
  };

  #onProgress(node: NodeId, sentAt: number): void {
    this.confirmations.confirmed(node, sentAt);
    this.#silence.heard(node);
    this.#wakeWaiting();
    if (this.isWaiting) return;
    if (this.#followers.isNear(node) && this.#register?.members.includes(node) !== true) this.#reconcile();
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
      ...{ nodes, present, wanted: this.#parts.wanted, following: this.#followers.nodes },
      isConnected: (node) => this.#peers.has(node),
      isSilent: (node) => this.#isSilent(node),
      isFull: (node) => this.#followers.isFull(node),
    });
    this.#followers.keep((node) => present.includes(node) || choice.candidates.includes(node));
    const ready = choice.candidates.filter((node) =>
      this.#followers.bringUp(node, this.feed.end.index, () => {
        this.#silence.heard(node);
      }),
    );
    const found = [...choice.kept, ...ready];
    const members = found.length === 0 && this.#parts.wanted > 0 ? [...present] : found;
    return successor(this.#register, this.claim, members, nodes);
  }

  /** A node that was away may know itself as a member yet, and would not let its old copy go. Never rejects. */
  async #tell(node: NodeId, peer: CopyPeer, known: JournalRegister | null): Promise<void> {
    const register = this.#register;
    if (register === undefined || !this.isInEffect || !isNamedIn(register, node)) return;
    if (known !== null && !isNewer(register, known)) return;
    const peers = new Map([[node, peer]]);
    await storeRegister({ clock: this.#parts.clock, claim: this.claim, peers }, register);
  }

  /** Tries once to bring a register into effect. Never rejects. */
  #store(register: JournalRegister): Promise<void> {
    return storeRegister(
      { clock: this.#parts.clock, claim: this.claim, peers: this.#peers },
      register,
      (node, sentAt, stored) => {
        this.confirmations.confirmed(node, sentAt);
        if (this.#next === register && areEnough(stored, this.registers)) this.#inEffect(register);
      },
      this.#onRefused,
    );
  }

  #inEffect(register: JournalRegister): void {
    const { generation, members, nodes } = register;
    this.#parts.log.info({ generation, members, nodes: nodes.length }, "journal copies");
    this.#register = register;
    this.#next = undefined;
    this.#parts.onRegister?.(register);
    this.#followers.joined(members);
    this.#wakeWaiting();
  }

  #wakeWaiting(): void {
    this.#waiting.wake((index) => this.#isCopied(index));
    if (!this.isWaiting) this.#silence.end();
  }
}
