/** Arithmetic of what is dropped: pure functions on lists of parts of an inode. */
import { limits } from "../../base/limits.ts";
import type { LeaseScope } from "../../protocol/leases.ts";

const everything: LeaseScope = { kind: "everything" };

/** Whether dropping `dropped` drops all of `wanted` too. */
export function coversAll(dropped: readonly LeaseScope[], wanted: readonly LeaseScope[]): boolean {
  return wanted.every((scope) => dropped.some((other) => covers(other, scope)));
}

function covers(dropped: LeaseScope, wanted: LeaseScope): boolean {
  if (dropped.kind === "everything") return true;
  switch (wanted.kind) {
    case "everything":
      return false;
    case "attributes":
      return dropped.kind === "attributes" || dropped.kind === "entry";
    case "entry":
      return dropped.kind === "entry" && dropped.name === wanted.name;
    case "data":
      return dropped.kind === "data" && dropped.offset <= wanted.offset && endOf(dropped) >= endOf(wanted);
  }
}

/** The list that covers both; data ranges become one. Bounded: a long list becomes "everything". */
export function joined(scopes: readonly LeaseScope[], added: readonly LeaseScope[]): readonly LeaseScope[] {
  let all = scopes;
  for (const scope of added) {
    if (coversAll(all, [scope])) continue;
    if (scope.kind === "everything") return [everything];
    const data = scope.kind === "data" ? all.find((other) => other.kind === "data") : undefined;
    all = [
      ...all.filter((other) => other !== data && !covers(scope, other)),
      data === undefined ? scope : hull(data, scope),
    ];
  }
  return all.length > limits.recallScopesMax ? [everything] : all;
}

type DataScope = LeaseScope & { kind: "data" };

function hull(one: DataScope, other: LeaseScope): LeaseScope {
  if (other.kind !== "data") return everything;
  const offset = Math.min(one.offset, other.offset);
  return { kind: "data", offset, length: Math.max(endOf(one), endOf(other)) - offset };
}

function endOf({ offset, length }: DataScope): number {
  return offset + length;
}
