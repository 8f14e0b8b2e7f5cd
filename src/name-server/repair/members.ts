/**
 * What has to change in the membership of a group next: pure.
 *
 * What always holds: the last member that is whole and up is never taken out, nobody is taken out before what it holds
 * is at as many others as wanted (unless it is gone), and a group has at most one member more than wanted.
 */
import type { NodeId } from "../../base/ids.ts";

export interface MemberView {
  readonly isUp: boolean;
  /** Out, removed or unknown: nothing is expected of it any more. */
  readonly isGone: boolean;
  readonly isDraining: boolean;
}

export interface Membership {
  readonly nodes: readonly NodeId[];
  readonly copying: readonly NodeId[];
}

export type Step =
  /** Another node takes the place of a gone one, and copies. */
  | { readonly kind: "replace"; readonly leaver: NodeId }
  /** A further node joins, and copies: because copies are missing, or so that a draining one can leave. */
  | { readonly kind: "add"; readonly isUrgent: boolean }
  /** There is one too many. */
  | { readonly kind: "drop"; readonly leaver: NodeId };

/** `load`: how full a node is compared with others; the fullest leaves where any may. */
export function nextStep(
  { nodes, copying }: Membership,
  replicas: number,
  view: (node: NodeId) => MemberView,
  load: (node: NodeId) => number,
): Step | undefined {
  const hasSourceBeside = (leaver: NodeId | undefined): boolean =>
    nodes.some((id) => id !== leaver && !copying.includes(id) && view(id).isUp);
  const gone = nodes.find((id) => view(id).isGone && hasSourceBeside(id));
  if (gone !== undefined) return { kind: nodes.length > replicas ? "drop" : "replace", leaver: gone };
  if (nodes.length < replicas) return hasSourceBeside(undefined) ? { kind: "add", isUrgent: true } : undefined;
  if (copying.length > 0) return undefined;
  const draining = nodes.filter((id) => view(id).isDraining);
  if (nodes.length > replicas) {
    if (!nodes.every((id) => view(id).isUp)) return undefined;
    const [first, ...others] = draining.length > 0 ? draining : nodes;
    if (first === undefined) return undefined;
    const leaver = others.reduce((fullest, id) => (load(id) > load(fullest) ? id : fullest), first);
    return { kind: "drop", leaver };
  }
  return draining.length > 0 && hasSourceBeside(undefined) ? { kind: "add", isUrgent: false } : undefined;
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
