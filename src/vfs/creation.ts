/** Operations that make a name: MKNOD, MKDIR, SYMLINK, LINK, CREATE, TMPFILE. Each is one request to the name server. */
import type { Attributes } from "../base/attributes.ts";
import { errnoOf, FsError } from "../base/errno.ts";
import type { Ino } from "../base/ids.ts";
import type { Name } from "../base/name.ts";
import type { Entry, Operations, RequestContext } from "../fuse/operations.ts";
import type { CallerIdentity } from "../protocol/types.ts";
import { linkAhead, makeAhead } from "./ahead-creation.ts";
import { changingNames } from "./changing-names.ts";
import { inodeOf, type Core } from "./core.ts";
import type { Inode } from "./inode.ts";
import { isAppending, openFlag } from "./open-flags.ts";
import { seenAt } from "./places.ts";
import { changedNothing } from "./refusals.ts";
import { entryReply } from "./visible-attributes.ts";

interface Made {
  readonly attributes: Attributes;
  readonly directories?: Attributes[] | undefined;
}

type Creating = "mknod" | "mkdir" | "symlink" | "link" | "create" | "tmpfile";

export function creationOperations(core: Core): Pick<Operations, Creating> {
  const { nameServer, coherence, inodes, dentries, handles } = core;

  /** Runs `call` for a new name in `parent`, and takes in what it made. */
  const make = async (
    request: RequestContext,
    parent: Ino,
    name: Name,
    call: (caller: CallerIdentity) => Promise<Made>,
  ): Promise<{ inode: Inode; since: number }> => {
    const directory = inodeOf(core, parent);
    core.intent.namesChanged(directory);
    const changed = changingNames(core, [directory]);
    const since = coherence.moment;
    let told: Made["directories"];
    try {
      const { attributes, directories } = await core.identity.as(request, call);
      told = directories;
      const inode = inodes.enter(attributes, since);
      seenAt(core, inode, parent, name);
      if (coherence.holds(parent, since)) dentries.set(parent, name, inode.ino);
      else dentries.delete(parent, name);
      return { inode, since };
    } catch (error) {
      if (!changedNothing(error)) dentries.delete(parent, name);
      throw error;
    } finally {
      changed(told);
    }
  };

  const entry = (parent: Ino, { inode, since }: { inode: Inode; since: number }): Entry =>
    entryReply(coherence, inode, parent, since);

  const opened = (
    inode: Inode,
    parent: Ino,
    flags: number,
    since: number,
  ): Awaited<ReturnType<Operations["create"]>> => {
    // Nothing of a new file can be in the kernel's cache.
    inode.pagesSince = coherence.moment;
    const how = coherence.openFlags(inode, isAppending(flags));
    const file = handles.openFile(inode, flags, how.directIo !== true);
    return { entry: entryReply(coherence, inode, parent, since), opened: { handle: file.handle, ...how } };
  };

  const ranAhead = (parent: Ino, inode: Inode): Entry => entryReply(coherence, inode, parent, coherence.moment);

  const mkdir: Operations["mkdir"] = async (request, parent, name, { mode, umask }) => {
    const { signal } = request;
    const made = await make(request, parent, name, (caller) =>
      nameServer.change("mkdir", { caller, parent, name, mode, umask }, { signal }),
    );
    // It is empty, and whatever gets a name in it is told here.
    if (coherence.trustsNames(made.inode, made.since)) dentries.beginListing(made.inode.ino).complete();
    return entry(parent, made);
  };

  const symlink: Operations["symlink"] = async (request, parent, name, target) => {
    const { signal } = request;
    return entry(
      parent,
      await make(request, parent, name, (caller) =>
        nameServer.change("symlink", { caller, parent, name, umask: 0, target }, { signal }),
      ),
    );
  };

  const link: Operations["link"] = async (request, ino, newParent, newName) => {
    const { signal } = request;
    const inode = inodeOf(core, ino);
    core.intent.changed(inode);
    try {
      return entry(
        newParent,
        await make(request, newParent, newName, (caller) =>
          nameServer.change("link", { caller, ino, newParent, newName }, { signal }),
        ),
      );
    } catch (error) {
      inodes.markStale(inode);
      throw error;
    }
  };

  const create: Operations["create"] = async (request, parent, name, { mode, umask }, flags) => {
    const { signal } = request;
    try {
      const made = await make(request, parent, name, (caller) =>
        nameServer.change("create", { caller, parent, name, mode, umask }, { signal }),
      );
      return opened(made.inode, parent, flags, made.since);
    } catch (error) {
      if (errnoOf(error) !== "EEXIST" || (flags & openFlag.exclusive) !== 0) throw error;
      // The name appeared since the kernel looked: it looks again, and opens with the permission check of an open.
      throw new FsError("ESTALE", `${String(parent)}: the name to create has appeared`, { cause: error });
    }
  };

  return {
    async mknod(request, parent, name, { mode, umask }, rdev) {
      const { signal } = request;
      return entry(
        parent,
        await make(request, parent, name, (caller) =>
          nameServer.change("mknod", { caller, parent, name, mode, umask, rdev }, { signal }),
        ),
      );
    },
    mkdir(request, parent, name, creation) {
      const made = makeAhead(core, request, parent, name, { method: "mkdir", ...creation });
      return made === undefined ? mkdir(request, parent, name, creation) : ranAhead(parent, made);
    },
    symlink(request, parent, name, target) {
      const made = makeAhead(core, request, parent, name, { method: "symlink", target });
      return made === undefined ? symlink(request, parent, name, target) : ranAhead(parent, made);
    },
    create(request, parent, name, creation, flags) {
      const made = makeAhead(core, request, parent, name, { method: "create", ...creation });
      if (made === undefined) return create(request, parent, name, creation, flags);
      return opened(made, parent, flags, coherence.moment);
    },
    link(request, ino, newParent, newName) {
      const linked = linkAhead(core, request, ino, newParent, newName);
      return linked === undefined ? link(request, ino, newParent, newName) : ranAhead(newParent, linked);
    },
    async tmpfile(request, parent, { mode, umask }, flags) {
      const since = coherence.moment;
      const { attributes } = await core.identity.as(request, (caller) =>
        nameServer.change("tmpfile", { caller, parent, mode, umask }, { signal: request.signal }),
      );
      const inode = inodes.enter(attributes, since);
      inode.removed = true;
      inode.orphan = true;
      return opened(inode, parent, flags, since);
    },
  };
}
