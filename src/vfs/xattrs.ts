/**
 * SETXATTR, GETXATTR, LISTXATTR, REMOVEXATTR. Most inodes have none, and the attributes say so: no message then. A few
 * small values are remembered per inode for as long as its attributes are believed. ACLs are xattrs; the server keeps
 * the mode in step, and its answer carries the new attributes.
 */
import { errnoOf, FsError } from "../base/errno.ts";
import { limits } from "../base/limits.ts";
import type { Name } from "../base/name.ts";
import type { Operations, RequestContext } from "../fuse/operations.ts";
import { aclXattrs } from "../protocol/acl.ts";
import { xattrKindOf } from "../protocol/xattr-names.ts";
import { inodeOf, staleIfGone, type Core } from "./core.ts";
import type { Inode } from "./inode.ts";
import { capabilityXattr } from "./privileges.ts";

type XattrOperations = Pick<Operations, "setxattr" | "getxattr" | "listxattr" | "removexattr">;

export function xattrOperations(core: Core): XattrOperations {
  const { nameServer, coherence, inodes, identity } = core;

  const fetch = async (request: RequestContext, inode: Inode, name: Name): Promise<Buffer | undefined> => {
    await flushBefore(inode, name, request.signal);
    const ino = inode.ino;
    const since = coherence.moment;
    const remember = (value: Buffer | null): void => {
      if (coherence.trusts(inode) && since >= inode.learnedAt && since >= inode.staleAt) keep(inode, name, value);
    };
    try {
      const { value } = await identity.as(request, (caller) =>
        nameServer.ask("getxattr", { caller, ino, name }, { signal: request.signal }),
      );
      remember(value);
      return value;
    } catch (error) {
      if (errnoOf(error) !== "ENODATA") throw staleIfGone(error);
      remember(null);
      return undefined;
    }
  };

  /** A setxattr or removexattr: the reply's attributes are new. */
  const change = async (inode: Inode, run: () => Promise<void>): Promise<void> => {
    inode.xattrs = undefined;
    try {
      await run();
    } catch (error) {
      inodes.markStale(inode);
      throw staleIfGone(error);
    } finally {
      inode.xattrs = undefined;
    }
  };

  return {
    async setxattr(request, ino, name, value, flags, clearSetgid) {
      const inode = inodeOf(core, ino);
      if (value.length > limits.xattrValueBytesMax) throw new FsError("E2BIG", `xattr of inode ${String(ino)}`);
      await flushBefore(inode, name, request.signal);
      // An ACL gives another mode, from which a flush that comes later would take other bits.
      if (name === aclXattrs.access && inode.privilegesCleared) await inode.content?.flush(request.signal);
      await change(inode, async () => {
        const since = coherence.moment;
        const what = { ino, name, value, flags, clearSetgid };
        const { attributes } = await identity.as(request, (caller) =>
          nameServer.change("setxattr", { ...what, caller }, { signal: request.signal }),
        );
        inodes.changed(attributes, since);
      });
    },
    getxattr(request, ino, name) {
      const inode = inodeOf(core, ino);
      if (coherence.trusts(inode)) {
        const known = inode.attributes?.hasXattrs === false ? null : inode.xattrs?.get(name);
        if (known === null) {
          xattrKindOf(name);
          return undefined;
        }
        if (known !== undefined) return known;
      }
      return fetch(request, inode, name);
    },
    listxattr(request, ino) {
      const inode = inodeOf(core, ino);
      if (coherence.trusts(inode) && inode.attributes?.hasXattrs === false) return [];
      return list(core, request, inode);
    },
    async removexattr(request, ino, name) {
      const inode = inodeOf(core, ino);
      await change(inode, async () => {
        const since = coherence.moment;
        const { attributes } = await identity.as(request, (caller) =>
          nameServer.change("removexattr", { caller, ino, name }, { signal: request.signal }),
        );
        inodes.changed(attributes, since);
      });
    },
  };
}

async function list(core: Core, request: RequestContext, inode: Inode): Promise<readonly Name[]> {
  await flushBefore(inode, capabilityXattr, request.signal);
  try {
    const { names } = await core.identity.as(request, (caller) =>
      core.nameServer.ask("listxattr", { caller, ino: inode.ino }, { signal: request.signal }),
    );
    return names;
  } catch (error) {
    throw staleIfGone(error);
  }
}

/** File capabilities end with a write: one that the server does not know yet has to arrive before they are asked or set. */
async function flushBefore(inode: Inode, name: Name, signal: AbortSignal): Promise<void> {
  if (name === capabilityXattr && inode.content?.isDirty === true) await inode.content.flush(signal);
}

function keep(inode: Inode, name: Name, value: Buffer | null): void {
  if (value !== null && value.length > limits.clientXattrBytesMax) return;
  const xattrs = (inode.xattrs ??= new Map<Name, Buffer | null>());
  if (xattrs.size >= limits.clientXattrsMax && !xattrs.has(name)) xattrs.clear();
  // Copied: the reply's buffer is a slice that would keep its whole frame.
  xattrs.set(name, value === null ? null : Buffer.from(value));
}
