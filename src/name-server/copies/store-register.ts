/** One try to have a register stored by all nodes that are connected. */
import type { Clock } from "../../base/clock.ts";
import { errnoOf } from "../../base/errno.ts";
import type { NodeId } from "../../base/ids.ts";
import type { Claim, JournalRegister } from "../../protocol/journal-methods.ts";
import type { CopyPeer } from "./types.ts";

/** How long a node may take to store the register. */
const storeMillis = 5_000;

/**
 * Never rejects.
 * @param onStored told with all that have stored it by then, and when the call to the last of them was sent
 */
export async function storeRegister(
  { clock, claim, peers }: { clock: Clock; claim: Claim; peers: ReadonlyMap<NodeId, CopyPeer> },
  register: JournalRegister,
  onStored: (node: NodeId, sentAt: number, stored: ReadonlySet<NodeId>) => void = () => undefined,
  onRefused: (node: NodeId, peer: CopyPeer) => void = () => undefined,
): Promise<void> {
  const stored = new Set<NodeId>();
  const calls = [...peers].map(async ([node, peer]) => {
    const sentAt = clock.monotonicMillis();
    try {
      await peer.call("storeRegister", { ...claim, register }, { deadlineMillis: storeMillis });
    } catch (error) {
      if (errnoOf(error) === "ESTALE") onRefused(node, peer);
      return;
    }
    stored.add(node);
    onStored(node, sentAt, stored);
  });
  await Promise.all(calls);
}
