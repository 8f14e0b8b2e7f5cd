/**
 * What has to change in the membership of a group next: pure.
 *
 * What always holds: the last member that is whole and up is never taken out, nobody is taken out before what it holds
 * is at as many others as wanted (unless it is gone; for those that are only silent see rescue.ts), and a group has at
 * most one member more than wanted.
 */
import type { NodeId } from "../../base/ids.ts";

export interface MemberView {
  readonly isUp: boolean;
  /** Out, removed or unknown: nothing is expected of it any more. */
  readonly isGone: boolean;
  readonly isDraining: boolean;
  /** Nodes with the same one fail together. */
  readonly host: string;
}

export interface Membership {
  readonly nodes: readonly NodeId[];
  readonly copying: readonly NodeId[];
}

export type Step =
  /** Another node takes the place of a gone one, and copies. */
  | { readonly kind: "replace"; readonly leaver: NodeId }
  /** A further node joins, and copies: copies are missing; or so that a draining one, or one of two on a host, can leave. */
  | { readonly kind: "add"; readonly why: "missing" | "draining" | "together" }
  /** There is one too many. */
  | { readonly kind: "drop"; readonly leaver: NodeId };

/** What the step depends on beside the group itself. */
export interface Circumstances {
  readonly view: (node: NodeId) => MemberView;
  /** How full a node is compared with others: the fullest leaves where any may. */
  readonly load: (node: NodeId) => number;
  /** Whether somebody could join who is on none of these hosts. */
  readonly hasHostBeside: (hosts: ReadonlySet<string>) => boolean;
}

export function nextStep(
  { nodes, copying }: Membership,
  replicas: number,
  { view, load, hasHostBeside }: Circumstances,
): Step | undefined {
  const hasSourceBeside = (leaver: NodeId | undefined): boolean =>
    nodes.some((id) => id !== leaver && !copying.includes(id) && view(id).isUp);
  const gone = nodes.find((id) => view(id).isGone && hasSourceBeside(id));
  if (gone !== undefined) return { kind: nodes.length > replicas ? "drop" : "replace", leaver: gone };
  if (nodes.length < replicas) return hasSourceBeside(undefined) ? { kind: "add", why: "missing" } : undefined;
  if (copying.length > 0) return undefined;
  const draining = nodes.filter((id) => view(id).isDraining);
  const areAllUp = nodes.every((id) => view(id).isUp);
  if (nodes.length > replicas) {
    if (!areAllUp) return undefined;
    const leavers = draining.length > 0 ? draining : leavingMostHosts(nodes, view);
    // Who has just come, at the end, stays: it was asked in because it is emptier, or has its blocks already.
    const others = leavers.filter((id) => id !== nodes.at(-1));
    const leaver = fullest(others.length > 0 ? others : leavers, load);
    return leaver === undefined ? undefined : { kind: "drop", leaver };
  }
  if (draining.length > 0) return hasSourceBeside(undefined) ? { kind: "add", why: "draining" } : undefined;
  const hosts = new Set(nodes.map((id) => view(id).host));
  const isTogether = hosts.size < nodes.length && hasHostBeside(hosts);
  return isTogether && areAllUp ? { kind: "add", why: "together" } : undefined;
}

/** Those after whose leaving the others are on as many hosts as possible. */
function leavingMostHosts(nodes: readonly NodeId[], view: Circumstances["view"]): NodeId[] {
  const hostsWithout = (leaver: NodeId): number =>
    new Set(nodes.filter((id) => id !== leaver).map((id) => view(id).host)).size;
  const most = Math.max(...nodes.map(hostsWithout));
  return nodes.filter((id) => hostsWithout(id) === most);
}

function fullest(nodes: readonly NodeId[], load: Circumstances["load"]): NodeId | undefined {
  return nodes.reduce<NodeId | undefined>(
    (most, id) => (most === undefined || load(id) > load(most) ? id : most),
    undefined,
  );
}

/** The membership after the step; `joiner` for those that need one. A newcomer takes the leaver's place in the order. */
export function afterStep(group: Membership, step: Step, joiner: NodeId | undefined): Membership {
  const { nodes, copying } = group;
  switch (step.kind) {
    case "drop":
      return {
        nodes: nodes.filter((id) => id !== step.leaver),
        copying: copying.filter((id) => id !== step.leaver),
      };
    case "replace":
      if (joiner === undefined) return group;
      return {
        nodes: nodes.map((id) => (id === step.leaver ? joiner : id)),
        copying: [...copying.filter((id) => id !== step.leaver), joiner],
      };
    case "add":
      return joiner === undefined ? group : { nodes: [...nodes, joiner], copying: [...copying, joiner] };
  }
}

export type Health = "healthy" | "degraded" | "lost";

/** healthy: as many whole members as wanted are up, and nobody is missing; lost: no whole member is up. */
export function healthOf(
  { nodes, copying }: Membership,
  replicas: number,
  isUp: (node: NodeId) => boolean,
): { readonly health: Health; readonly wholeAndUp: number } {
  const wholeAndUp = nodes.filter((id) => isUp(id) && !copying.includes(id)).length;
  if (wholeAndUp === 0) return { health: "lost", wholeAndUp };
  return { health: wholeAndUp >= replicas && nodes.every(isUp) ? "healthy" : "degraded", wholeAndUp };
}
