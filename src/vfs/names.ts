/** LOOKUP, FORGET and READLINK: from names to inodes. Answered from memory while that may be believed. */
import type { Operations } from "../fuse/operations.ts";
import { inodeOf, staleIfGone, type Core } from "./core.ts";
import { entryReply } from "./visible-attributes.ts";

export function nameOperations(core: Core): Pick<Operations, "lookup" | "forget" | "readlink"> {
  const { nameServer, coherence, inodes, dentries, accessTimes } = core;

  const ask: Operations["lookup"] = async (request, parent, name) => {
    const since = coherence.moment;
    const { attributes } = await nameServer.ask("lookup", { parent, name }, { signal: request.signal });
    const remember = name !== "." && name !== ".." && coherence.trustsNames(inodes.get(parent), since);
    if (remember) dentries.set(parent, name, attributes === null ? null : attributes.ino);
    if (attributes === null) return { absent: true, entryValidMillis: coherence.nameValidMillis(since) };
    return entryReply(coherence, inodes.enter(attributes, since), since);
  };

  return {
    lookup(request, parent, name) {
      if (!coherence.caching || name === "." || name === "..") return ask(request, parent, name);
      const known = dentries.get(parent, name);
      if (known === undefined) return ask(request, parent, name);
      if (known === null) return { absent: true, entryValidMillis: coherence.nameValidMillis(coherence.moment) };
      const inode = inodes.get(known);
      if (inode?.attributes === undefined || !coherence.trusts(inode)) return ask(request, parent, name);
      inode.recentlyUsed = true;
      inode.lookups++;
      return entryReply(coherence, inode, coherence.moment);
    },
    forget(ino, count) {
      inodes.forget(ino, count);
    },
    async readlink(request, ino) {
      const inode = inodeOf(core, ino);
      try {
        // The target of an inode never changes: the kernel keeps it as pages of the link.
        const { target } = await nameServer.ask("readlink", { ino }, { signal: request.signal });
        accessTimes.read(inode);
        return target;
      } catch (error) {
        throw staleIfGone(error);
      }
    },
  };
}
