/** SETATTR that runs ahead: mode, owner and times, where neither ACLs nor privileges have a say. */
import { isDirectory, isSymlink, modeBits, type Attributes, type Nanos } from "../base/attributes.ts";
import type { AttributeChanges, RequestContext } from "../fuse/operations.ts";
import { modeAfterChmod, needsGroups, refuseChanges } from "../protocol/permission.ts";
import { laterThan, owned, type Owned } from "./ahead.ts";
import type { Core } from "./core.ts";
import { plainCaller } from "./identity.ts";
import type { Inode } from "./inode.ts";

/** True: done. */
export function setattrAhead(core: Core, request: RequestContext, found: Inode, wanted: AttributeChanges): boolean {
  const inode = owned(core, found);
  if (inode === undefined) return false;
  const changes = withoutVainKilling(inode, wanted);
  if (Object.keys(changes).length === 0 || !isPlain(inode, changes)) return false;
  const caller = plainCaller(request);
  const { attributes } = inode;
  if (refuseChanges(caller, attributes, changes, () => false) !== undefined) return false;
  const wantsSetgid = changes.mode !== undefined && (changes.mode & modeBits.setgid) !== 0;
  if (wantsSetgid && needsGroups(caller, attributes.gid)) return false;

  if (changes.mtime !== undefined && inode.content?.isAskingTime === true) return false;
  const time = core.nameServer.nowNanos();
  if (changes.mtime !== undefined) inode.content?.forgetDirtyTime();
  if (changes.atime !== undefined) core.accessTimes.drop(inode);
  core.nameServer.ahead.add({ method: "setattr", time, request: { ...changes, caller, ino: inode.ino } }, 64);
  core.inodes.changedHere(inode, after(attributes, changes, caller, time));
  return true;
}

function hasSpecialBits(mode: number): boolean {
  return (mode & (modeBits.setuid | modeBits.setgid)) !== 0;
}

/** The kernel wants privileges to be taken by every chown: where there are none, that is nothing. */
function withoutVainKilling({ attributes }: Owned, changes: AttributeChanges): AttributeChanges {
  const { killPrivileges, ...rest } = changes;
  if (killPrivileges === undefined || attributes.hasXattrs || hasSpecialBits(attributes.mode)) return changes;
  return rest;
}

function isPlain(inode: Owned, { size, mode, uid, gid, killPrivileges, ctime }: AttributeChanges): boolean {
  const { attributes } = inode;
  if (size !== undefined || killPrivileges !== undefined || ctime !== undefined) return false;
  if (inode.privilegesCleared || isSymlink(attributes.mode)) return false;
  if (mode === undefined && uid === undefined && gid === undefined) return true;
  // ACLs follow the mode, capabilities end with a change of the owner.
  if (attributes.hasXattrs) return false;
  const chown = uid !== undefined || gid !== undefined;
  return !chown || isDirectory(attributes.mode) || !hasSpecialBits(attributes.mode);
}

function after(
  before: Attributes,
  changes: AttributeChanges,
  caller: Parameters<typeof modeAfterChmod>[0],
  time: Nanos,
): Attributes {
  const now = laterThan(time, before.ctime);
  const timeOf = (wanted: Nanos | "now" | undefined, present: Nanos): Nanos =>
    wanted === undefined ? present : wanted === "now" ? now : wanted;
  const { mode, uid, gid, atime, mtime } = changes;
  // The server changes the owner first.
  const guarded = { ...before, uid: uid ?? before.uid, gid: gid ?? before.gid };
  return {
    ...guarded,
    mode: mode === undefined ? before.mode : modeAfterChmod(caller, guarded, mode & 0o7777),
    atime: timeOf(atime, before.atime),
    mtime: timeOf(mtime, before.mtime),
    ctime: now,
  };
}
