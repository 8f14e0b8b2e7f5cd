/** The arithmetic of the register: which one is the newest, and how many nodes are enough. */
import type { NodeId } from "../../base/ids.ts";
import type { Claim, JournalRegister } from "../../protocol/journal-methods.ts";
import type { CopyNode } from "./types.ts";

/** So many of n nodes have to store a register, and to confirm an epoch. Any of them and any `recoveryQuorum` intersect. */
export function storeQuorum(n: number): number {
  return Math.ceil(n / 2);
}

/** So many of n nodes a recovering server has to hear, and to be obeyed by. */
export function recoveryQuorum(n: number): number {
  return Math.floor(n / 2) + 1;
}

export function countIn(register: Pick<JournalRegister, "nodes">, nodes: ReadonlySet<NodeId>): number {
  return register.nodes.filter(({ node }) => nodes.has(node)).length;
}

/** Whether these nodes are enough for each of the registers: a change of the list needs both the old and the new one's. */
export function areEnough(nodes: ReadonlySet<NodeId>, registers: readonly Pick<JournalRegister, "nodes">[]): boolean {
  return registers.every((register) => countIn(register, nodes) >= storeQuorum(register.nodes.length));
}

/** Whether it is a member, or one of those of which enough have to be heard. */
export function isNamedIn({ members, nodes }: JournalRegister, node: NodeId): boolean {
  return members.includes(node) || nodes.some((each) => each.node === node);
}

export function isNewer(a: JournalRegister, b: JournalRegister): boolean {
  return a.epoch > b.epoch || (a.epoch === b.epoch && a.generation > b.generation);
}

export function newestRegister(registers: readonly (JournalRegister | null)[]): JournalRegister | undefined {
  let newest: JournalRegister | undefined;
  for (const register of registers) {
    if (register !== null && (newest === undefined || isNewer(register, newest))) newest = register;
  }
  return newest;
}

/** The register with this content that follows the present one; undefined: that is it. */
export function successor(
  present: JournalRegister | undefined,
  claim: Claim,
  members: readonly NodeId[],
  nodes: readonly Pick<CopyNode, "node" | "address">[],
): JournalRegister | undefined {
  const next: JournalRegister = {
    ...claim,
    generation: (present?.generation ?? 0) + 1,
    members: [...members],
    nodes: nodes.map(({ node, address }) => ({ node, address })),
  };
  const isSame = present?.epoch === next.epoch && present.server === next.server && text(present) === text(next);
  return isSame ? undefined : next;
}

function text({ members, nodes }: JournalRegister): string {
  return JSON.stringify([members, nodes]);
}
