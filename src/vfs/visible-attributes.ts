/** What stat shows: the server's attributes and what was changed here since. */
import type { Attributes, Nanos } from "../base/attributes.ts";
import type { Ino } from "../base/ids.ts";
import { assert } from "../base/assert.ts";
import type { AttributesReply, Entry } from "../fuse/operations.ts";
import type { Coherence } from "./coherence.ts";
import type { Inode } from "./inode.ts";
import { clearedMode } from "./privileges.ts";

export function visibleAttributes(inode: Inode): Attributes {
  const { attributes, content, accessTime } = inode;
  assert(attributes !== undefined, `inode ${String(inode.ino)} has no attributes`);
  if (content === undefined && accessTime === undefined) return attributes;
  const size = content?.size ?? attributes.size;
  const written = content?.isDirty === true ? content.dirtyTime : undefined;
  const atime = later(attributes.atime, accessTime);
  const asServer = written === undefined && size === attributes.size && atime === attributes.atime;
  if (asServer && !inode.privilegesCleared) return attributes;
  return {
    ...attributes,
    mode: inode.privilegesCleared ? clearedMode(attributes.mode) : attributes.mode,
    size,
    blocks: visibleBlocks(inode, attributes, size),
    atime,
    mtime: written ?? attributes.mtime,
    ctime: later(attributes.ctime, written),
  };
}

/** Space that the server does not know yet is estimated: a file with content must not look like one big hole. */
function visibleBlocks(inode: Inode, attributes: Attributes, size: number): number {
  if (inode.writtenBytes === 0) return attributes.blocks;
  const whole = Math.ceil(size / 4096) * 8;
  return Math.max(attributes.blocks, Math.min(whole, attributes.blocks + Math.ceil(inode.writtenBytes / 512)));
}

function later(one: Nanos, other: Nanos | undefined): Nanos {
  return other !== undefined && other > one ? other : one;
}

export function attributesReply(coherence: Coherence, inode: Inode): AttributesReply {
  return { attributes: visibleAttributes(inode), attributesValidMillis: coherence.attributesValidMillis(inode) };
}

/** Its lookup has been counted by `enter`. `since`: when the directory was asked for the name. */
export function entryReply(coherence: Coherence, inode: Inode, parent: Ino, since: number): Entry {
  return {
    attributes: visibleAttributes(inode),
    attributesValidMillis: coherence.attributesValidMillis(inode),
    entryValidMillis: coherence.nameValidMillis(parent, since),
  };
}
