/** The journal's copies in one line of `dfs status`. */
import type { StatusReply } from "../protocol/status.ts";

/** Nothing for a name server that has its journal not copied. */
export function journalLine({ copies, nodes, replicas }: StatusReply): string[] {
  if (copies === undefined) return [];
  const nameOf = (id: string): string => nodes.find((node) => node.id === id)?.address ?? id;
  const complete = copies.members.filter((member) => member.complete);
  const copying = copies.members.filter((member) => !member.complete);
  const where = ["the name server", ...complete.map(({ node }) => nameOf(node))].join(", ");
  const parts = [`${String(complete.length + 1)} of ${String(replicas)} copies complete: ${where}`];
  for (const { node, behind } of copying) {
    const distance = behind === null ? "" : `, ${String(behind)} changes behind`;
    parts.push(`${nameOf(node)} is copying${distance}`);
  }
  if (copies.awaited.length > 0) parts.push(`changes wait for ${copies.awaited.map(nameOf).join(", ")}`);
  if (copies.nodes > 0) parts.push(`${String(copies.needed)} of ${String(copies.nodes)} nodes have to be there`);
  return [`journal ${parts.join("; ")}`];
}
