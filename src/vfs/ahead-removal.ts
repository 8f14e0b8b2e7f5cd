/** UNLINK, RMDIR and RENAME that run ahead. True: done. */
import type { Ino } from "../base/ids.ts";
import type { Name } from "../base/name.ts";
import { renameFlags, type RequestContext } from "../fuse/operations.ts";
import {
  isEmpty,
  laterThan,
  nameLost,
  namesChanged,
  ownedDirectory,
  ownedName,
  ownedVictim,
  type Owned,
} from "./ahead.ts";
import type { Core } from "./core.ts";
import { plainCaller } from "./identity.ts";
import { movedTo } from "./places.ts";

export function removeAhead(
  core: Core,
  request: RequestContext,
  method: "unlink" | "rmdir",
  parent: Ino,
  name: Name,
): boolean {
  const directory = ownedDirectory(core, request, parent);
  if (directory === undefined) return false;
  const ino = ownedName(core, directory, name);
  const victim = typeof ino === "number" ? ownedVictim(core, request, directory, ino) : undefined;
  if (victim === undefined || victim.directory !== (method === "rmdir")) return false;
  if (victim.directory && !isEmpty(core, victim)) return false;
  const time = core.nameServer.nowNanos();
  const keep = victim.opens > 0;
  const what = { caller: plainCaller(request), parent, name, keep, victim: victim.ino };
  core.nameServer.ahead.add({ method, time, request: what }, name.length);
  core.dentries.set(parent, name, null);
  namesChanged(core, directory, time, victim.directory ? -1 : 0);
  nameLost(core, victim, time, keep);
  return true;
}

export interface Renaming {
  readonly parent: Ino;
  readonly name: Name;
  readonly newParent: Ino;
  readonly newName: Name;
  readonly flags: number;
}

/** Between two names of files, or of a directory that stays in its directory. What is replaced is a file. */
export function renameAhead(core: Core, request: RequestContext, renaming: Renaming): boolean {
  const { parent, name, newParent, newName, flags } = renaming;
  if ((flags & ~renameFlags.noReplace) !== 0) return false;
  const directory = ownedDirectory(core, request, parent);
  const newDirectory = parent === newParent ? directory : ownedDirectory(core, request, newParent);
  if (directory === undefined || newDirectory === undefined) return false;
  const source = ownedName(core, directory, name);
  const target = ownedName(core, newDirectory, newName);
  if (typeof source !== "number" || target === undefined || source === target) return false;
  const moved = ownedVictim(core, request, directory, source);
  // A directory that gets another parent is asked for; content comes before the name under which something else was.
  if (moved === undefined || (moved.directory && parent !== newParent)) return false;
  let replaced: Owned | undefined;
  if (target !== null) {
    replaced = ownedVictim(core, request, newDirectory, target);
    const isRefused = flags !== 0 || moved.directory || moved.content?.isDirty === true;
    if (replaced === undefined || replaced.directory || isRefused) return false;
  }

  const time = core.nameServer.nowNanos();
  const keep = replaced !== undefined && replaced.opens > 0;
  const victim = replaced === undefined ? {} : { victim: replaced.ino };
  const what = { caller: plainCaller(request), ...renaming, keep, ...victim };
  core.nameServer.ahead.add({ method: "rename", time, request: what }, name.length + newName.length);
  core.dentries.set(parent, name, null);
  core.dentries.set(newParent, newName, source);
  namesChanged(core, directory, time, 0);
  if (newDirectory !== directory) namesChanged(core, newDirectory, time, 0);
  core.inodes.changedHere(moved, { ...moved.attributes, ctime: laterThan(time, moved.attributes.ctime) });
  movedTo(moved, newParent, newName);
  if (replaced !== undefined) nameLost(core, replaced, time, keep);
  return true;
}
