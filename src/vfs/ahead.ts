/**
 * Running ahead: a change that nobody can object to is answered at once and told to the server afterwards. That is so
 * when all that it changes is leased exclusively and known, when the kernel's caller is permitted to by what is known
 * here, and while the log is open. Whatever cannot be proved here is asked (undefined is returned, nothing has happened).
 *
 * What is set here has to be what the server will set: the same rules (protocol/permission.ts), the entry's time, and a
 * ctime that always rises.
 */
import { isDirectory, type Attributes, type Nanos } from "../base/attributes.ts";
import type { Ino } from "../base/ids.ts";
import type { Name } from "../base/name.ts";
import type { RequestContext } from "../fuse/operations.ts";
import { access, isStuck, permits } from "../protocol/permission.ts";
import type { Core } from "./core.ts";
import { plainCaller } from "./identity.ts";
import type { Inode } from "./inode.ts";
import { removed } from "./use.ts";

/** Of a directory with a few names, in units of 512 bytes. */
const blocksOfNames = 8;

/** An inode of which everything is known and nobody else may know anything. */
export interface Owned extends Inode {
  attributes: Attributes;
}

export function owned(core: Core, inode: Inode | undefined): Owned | undefined {
  if (inode === undefined || inode.removed || inode.removing !== undefined) return undefined;
  return core.nameServer.ahead.isOpen && core.coherence.mayBuffer(inode) ? (inode as Owned) : undefined;
}

/** A directory in which this caller may change names, and nothing of whose names is on its way. */
export function ownedDirectory(core: Core, request: RequestContext, ino: Ino): Owned | undefined {
  const directory = owned(core, core.inodes.get(ino));
  if (directory === undefined || !directory.directory || directory.changesUnanswered > 0) return undefined;
  if (request.uid === 0) return directory;
  // It may have an ACL.
  if (directory.attributes.hasXattrs) return undefined;
  const may = permits(plainCaller(request), directory.attributes, access.write | access.execute);
  return may ? directory : undefined;
}

/** What is known of a name; undefined: it has to be asked for. */
export function ownedName(core: Core, directory: Owned, name: Name): Ino | null | undefined {
  return core.dentries.get(directory.ino, name);
}

/** The inode of a name that may be taken out of its directory. */
export function ownedVictim(core: Core, request: RequestContext, directory: Owned, ino: Ino): Owned | undefined {
  const victim = owned(core, core.inodes.get(ino));
  if (victim === undefined) return undefined;
  return isStuck(plainCaller(request), directory.attributes, victim.attributes) ? undefined : victim;
}

/** Whether a directory is known to have no names. */
export function isEmpty({ dentries }: Core, { ino, attributes, changesUnanswered }: Owned): boolean {
  return changesUnanswered === 0 && (attributes.blocks === 0 || dentries.isEmpty(ino));
}

export function laterThan(time: Nanos, before: Nanos): Nanos {
  return time > before ? time : before + 1n;
}

/** Names of the directory have changed. `subdirectories`: how many more there are. */
export function namesChanged(core: Core, directory: Owned, time: Nanos, subdirectories: number): void {
  const { attributes } = directory;
  const now = laterThan(time, attributes.ctime);
  const nlink = attributes.nlink + subdirectories;
  // It may have names now: 0 is left to the server.
  const blocks = Math.max(blocksOfNames, attributes.blocks);
  core.inodes.changedHere(directory, { ...attributes, nlink, blocks, mtime: now, ctime: now });
  directory.namesChangedAt = core.coherence.nextMoment();
}

/** The inode has lost a name. */
export function nameLost(core: Core, inode: Owned, time: Nanos, keep: boolean): void {
  const { attributes } = inode;
  const nlink = isDirectory(attributes.mode) ? 0 : attributes.nlink - 1;
  core.inodes.changedHere(inode, { ...attributes, nlink, ctime: laterThan(time, attributes.ctime) });
  if (nlink === 0) removed(core, inode, keep);
}
