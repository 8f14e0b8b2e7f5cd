/**
 * A directory: names and the inodes that they stand for. Every operation is one step, so at each moment an inode moved by
 * rename is under the old name or under the new one, and of two that create a name with O_EXCL one wins. Listings are not
 * here: `listings.ts` says what they must show.
 *
 * One thing that Linux does is not in the model, and histories must not contain it: a rename between two names of one
 * inode does nothing, which the kernel decides by itself after looking up one name and then the other. So two processes
 * that move one file to the same name at the same time may both be told that they did. (vfs_rename in fs/namei.c)
 */
import { unreachable } from "../../src/base/assert.ts";
import type { ListedAction, NameAction, Operation } from "./history.ts";
import type { Model } from "./linearizability.ts";

type Names = ReadonlyMap<string, string>;
export type DirectoryAction = NameAction | ListedAction;

export function namesModel(history: readonly Operation<DirectoryAction>[]): Model<Names, DirectoryAction> {
  const known = knownInodes(history);
  return {
    initial: new Map(),
    key: (names) =>
      [...names]
        .map(([name, inode]) => `${name}=${inode}`)
        .sort()
        .join(" "),
    apply(names, operation) {
      const { action, result } = operation;
      if (result?.type === "refused") return fits(names, action, result.errno) ? names : undefined;
      switch (action.type) {
        case "create":
          if (result === undefined)
            return names.has(action.name) ? names : put(names, action.name, unknownInode(operation));
          if (result.type !== "inode" || names.has(action.name)) return undefined;
          return put(names, action.name, String(result.inode));
        case "link":
          if (names.has(action.name)) return result === undefined ? names : undefined;
          return put(names, action.name, String(action.inode));
        case "unlink":
          if (!names.has(action.name)) return result === undefined ? names : undefined;
          return remove(names, action.name);
        case "rename":
          return rename(names, action.from, action.to) ?? (result === undefined ? names : undefined);
        case "lookup":
          if (result === undefined) return names;
          return result.type === "inode" ? seen(names, action.name, String(result.inode), known) : undefined;
        case "listed":
          if (result === undefined) return names;
          return result.type === "times" && result.times === Number(names.has(action.name)) ? names : undefined;
        default:
          return unreachable(action);
      }
    },
    isRead: ({ action, result }) => action.type === "lookup" || action.type === "listed" || result?.type === "refused",
    describe: (names) =>
      names.size === 0 ? "there were no names" : `there were ${[...names].map((entry) => entry.join("=")).join(" ")}`,
  };
}

function fits(names: Names, action: DirectoryAction, errno: "ENOENT" | "EEXIST"): boolean {
  switch (action.type) {
    case "create":
    case "link":
      return errno === "EEXIST" && names.has(action.name);
    case "lookup":
    case "unlink":
      return errno === "ENOENT" && !names.has(action.name);
    case "rename":
      return errno === "ENOENT" && !names.has(action.from);
    case "listed":
      return false;
    default:
      return unreachable(action);
  }
}

/** Undefined if there is nothing to rename. */
function rename(names: Names, from: string, to: string): Names | undefined {
  const inode = names.get(from);
  if (inode === undefined) return undefined;
  return names.get(to) === inode ? names : put(remove(names, from), to, inode);
}

/** What a create without result made is learned from who sees an inode that nobody else made. */
function seen(names: Names, name: string, inode: string, known: ReadonlySet<string>): Names | undefined {
  const there = names.get(name);
  if (there === inode) return names;
  return there?.startsWith("?") === true && !known.has(inode) ? put(names, name, inode) : undefined;
}

function unknownInode({ process, operation }: Operation): string {
  return `?${String(process)}.${String(operation)}`;
}

function knownInodes(history: readonly Operation<DirectoryAction>[]): Set<string> {
  return new Set(
    history.flatMap(({ action, result }) => {
      if (action.type === "link") return [String(action.inode)];
      return action.type === "create" && result?.type === "inode" ? [String(result.inode)] : [];
    }),
  );
}

function put(names: Names, name: string, inode: string): Names {
  return new Map(names).set(name, inode);
}

function remove(names: Names, name: string): Names {
  const rest = new Map(names);
  rest.delete(name);
  return rest;
}

export function namesOf(action: DirectoryAction): readonly string[] {
  return action.type === "rename" ? [action.from, action.to] : [action.name];
}

/** See `withoutRegisterOperation`. What changes names stays: later results depend on it. */
export function withoutNameOperation(
  history: readonly Operation<DirectoryAction>[],
  left: Operation<DirectoryAction>,
): readonly Operation<DirectoryAction>[] | undefined {
  const { action, result } = left;
  const isRead = action.type === "lookup" || action.type === "listed" || result?.type === "refused";
  return isRead ? history.filter((operation) => operation !== left) : undefined;
}

/** Names that no rename connects are independent objects. */
export function splitByName(history: readonly Operation<DirectoryAction>[]): Operation<DirectoryAction>[][] {
  const leaders = new Map<string, string>();
  const leaderOf = (name: string): string => {
    let leader = name;
    for (let next = leaders.get(leader); next !== undefined; next = leaders.get(leader)) leader = next;
    return leader;
  };
  for (const { action } of history) {
    const [first, ...rest] = namesOf(action).map(leaderOf);
    for (const other of rest) if (first !== undefined && other !== first) leaders.set(other, first);
  }
  const parts = new Map<string, Operation<DirectoryAction>[]>();
  for (const operation of history) {
    const leader = leaderOf(namesOf(operation.action)[0] ?? "");
    const part = parts.get(leader);
    if (part === undefined) parts.set(leader, [operation]);
    else part.push(operation);
  }
  return [...parts.values()];
}
