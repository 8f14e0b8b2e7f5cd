/** The arithmetic of the register: which one is the newest, and how many nodes are enough. */
import type { NodeId } from "../../base/ids.ts";
import type { JournalRegister } from "../../protocol/journal-methods.ts";

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

export function sameContent(a: JournalRegister, b: JournalRegister): boolean {
  const text = ({ members, nodes }: JournalRegister): string => JSON.stringify([members, nodes]);
  return text(a) === text(b);
}
