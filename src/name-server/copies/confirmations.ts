/**
 * Which nodes have promised to obey this server's epoch, and when each was last known to keep that promise: counted from
 * when it was asked, so that a late answer proves no more than it can.
 */
import type { Clock } from "../../base/clock.ts";
import { errnoOf } from "../../base/errno.ts";
import type { NodeId } from "../../base/ids.ts";
import { limits } from "../../base/limits.ts";
import type { Claim, JournalRegister } from "../../protocol/journal-methods.ts";
import { storeQuorum } from "./register.ts";
import type { CopyPeer } from "./types.ts";

export class Confirmations {
  readonly #clock: Clock;
  readonly #claim: () => Claim;
  readonly #onRefused: (node: NodeId, peer: CopyPeer) => void;
  readonly #confirmedAt = new Map<NodeId, number>();
  readonly #asking = new Set<CopyPeer>();

  constructor(clock: Clock, claim: () => Claim, onRefused: (node: NodeId, peer: CopyPeer) => void) {
    this.#clock = clock;
    this.#claim = claim;
    this.#onRefused = onRefused;
  }

  /** The node obeyed at some time after `sentAt`. */
  confirmed(node: NodeId, sentAt: number): void {
    this.#confirmedAt.set(node, Math.max(sentAt, this.#confirmedAt.get(node) ?? 0));
  }

  /** Whether enough have lately, by each of these registers. */
  areEnoughFor(registers: readonly JournalRegister[]): boolean {
    const since = this.#clock.monotonicMillis() - limits.confirmedMillis;
    return registers.every(({ nodes }) => {
      let fresh = 0;
      for (const { node } of nodes) if ((this.#confirmedAt.get(node) ?? -Infinity) > since) fresh++;
      return fresh >= storeQuorum(nodes.length);
    });
  }

  /** Of these nodes those that have not. */
  missing(nodes: readonly NodeId[]): NodeId[] {
    const since = this.#clock.monotonicMillis() - limits.confirmedMillis;
    return nodes.filter((node) => (this.#confirmedAt.get(node) ?? -Infinity) <= since);
  }

  /** Asks those that were not heard for a while. */
  ask(peers: ReadonlyMap<NodeId, CopyPeer>): void {
    const now = this.#clock.monotonicMillis();
    for (const [node, peer] of peers) {
      if (this.#asking.has(peer) || now - (this.#confirmedAt.get(node) ?? -Infinity) < limits.confirmMillis) continue;
      this.#asking.add(peer);
      void this.#askOne(node, peer, now);
    }
  }

  async #askOne(node: NodeId, peer: CopyPeer, sentAt: number): Promise<void> {
    try {
      await peer.call("confirmEpoch", this.#claim(), { deadlineMillis: limits.confirmedMillis });
      this.confirmed(node, sentAt);
    } catch (error) {
      // A broken connection comes back, or does not: silence is what counts.
      if (errnoOf(error) === "ESTALE") this.#onRefused(node, peer);
    } finally {
      this.#asking.delete(peer);
    }
  }
}
