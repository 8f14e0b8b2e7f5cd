/** The storage nodes whose copies are brought up and kept up: one follower each. */
import type { NodeId } from "../../base/ids.ts";
import { Follower, type FollowerParts } from "./follower.ts";
import type { CopyPeer } from "./types.ts";

export interface FollowersParts extends Omit<FollowerParts, "node" | "peer" | "onProgress" | "onRefused" | "onFull"> {
  /** The node's connection now, on which it has promised to obey; undefined: none. */
  readonly peer: (node: NodeId) => CopyPeer | undefined;
  readonly onProgress: (node: NodeId, sentAt: number) => void;
  readonly onRefused: (node: NodeId, peer: CopyPeer) => void;
}

/** So long after its disk was full a node is sought last. */
const fullMillis = 30_000;

export class Followers {
  readonly #parts: FollowersParts;
  readonly #followers = new Map<NodeId, Follower>();
  /** They copy, and will be members, once they have this batch. */
  readonly #joining = new Map<NodeId, number>();
  /** When (monotonic) a node last had no room for its copy. */
  readonly #fullAt = new Map<NodeId, number>();

  constructor(parts: FollowersParts) {
    this.#parts = parts;
  }

  get nodes(): NodeId[] {
    return [...this.#followers.keys()];
  }

  get joining(): NodeId[] {
    return [...this.#joining.keys()];
  }

  /** The newest batch that the node is known to have on its disk; undefined: not known now. */
  end(node: NodeId): number | undefined {
    return this.#followers.get(node)?.end?.index;
  }

  has(node: NodeId, index: number): boolean {
    return (this.end(node) ?? -1) >= index;
  }

  /** It is only a moment behind. */
  isNear(node: NodeId): boolean {
    return this.#followers.get(node)?.isNear === true;
  }

  /** A moment ago it had no room for its copy. */
  isFull(node: NodeId): boolean {
    return this.#parts.clock.monotonicMillis() - (this.#fullAt.get(node) ?? -Infinity) < fullMillis;
  }

  follow(node: NodeId): void {
    if (this.#followers.has(node)) return;
    const { peer, onProgress, onRefused } = this.#parts;
    const follower: Follower = new Follower({
      ...this.#parts,
      node,
      peer: () => peer(node),
      onProgress: (sentAt) => {
        onProgress(node, sentAt);
      },
      onRefused: () => {
        const connected = peer(node);
        if (connected !== undefined) onRefused(node, connected);
      },
      onFull: () => {
        this.#fullAt.set(node, this.#parts.clock.monotonicMillis());
      },
    });
    this.#followers.set(node, follower);
  }

  /**
   * Follows a node that is to be a member, and tells whether it may be one: it has everything that was written (up to batch
   * `end`) when it came near. From then on it is `joining`: nothing is to be acknowledged without it.
   */
  bringUp(node: NodeId, end: number, onJoining: () => void): boolean {
    this.follow(node);
    if (this.isNear(node) && !this.#joining.has(node)) {
      this.#joining.set(node, end);
      onJoining();
    }
    const from = this.#joining.get(node);
    return from !== undefined && this.has(node, from);
  }

  /** These are members now: of the others those that are joining are followed on. */
  joined(members: readonly NodeId[]): void {
    for (const node of members) this.#joining.delete(node);
    this.keep((node) => members.includes(node) || this.#joining.has(node));
  }

  keep(isWanted: (node: NodeId) => boolean): void {
    for (const [node, follower] of [...this.#followers]) {
      if (isWanted(node)) continue;
      follower.stop();
      this.#followers.delete(node);
      this.#joining.delete(node);
    }
  }

  /** There is something new: a connection of this node. */
  poke(node: NodeId): void {
    this.#followers.get(node)?.poke();
  }

  /** There is a new record. */
  pokeAll(): void {
    for (const follower of this.#followers.values()) follower.poke();
  }

  renewBases(): void {
    for (const follower of this.#followers.values()) follower.renewBase();
  }

  stop(): void {
    for (const follower of this.#followers.values()) follower.stop();
  }
}
