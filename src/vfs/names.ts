/** LOOKUP, FORGET and READLINK: from names to inodes. Answered from memory while that may be believed. */
import type { Ino } from "../base/ids.ts";
import type { Name } from "../base/name.ts";
import type { AbsentEntry, Entry, Operations, RequestContext } from "../fuse/operations.ts";
import { giveUp } from "../remote/give-up.ts";
import { askAttributes } from "./attributes.ts";
import { inodeOf, staleIfGone, type Core } from "./core.ts";
import { hasBufferedReader, type Inode } from "./inode.ts";
import { seenAt } from "./places.ts";
import { entryReply } from "./visible-attributes.ts";

export function nameOperations(core: Core): Pick<Operations, "lookup" | "forget" | "readlink"> {
  const { nameServer, coherence, inodes, dentries, listAhead, accessTimes } = core;

  const ask: Operations["lookup"] = async (request, parent, name) => {
    const since = coherence.moment;
    const { attributes } = await nameServer.ask("lookup", { parent, name }, { signal: request.signal });
    const remember = name !== "." && name !== ".." && coherence.trustsNames(inodes.get(parent), since);
    if (remember) dentries.set(parent, name, attributes === null ? null : attributes.ino);
    if (attributes === null) return { absent: true, entryValidMillis: coherence.nameValidMillis(parent, since) };
    const inode = inodes.enter(attributes, since);
    if (name !== "." && name !== "..") seenAt(core, inode, parent, name);
    // An answer from before a change would have the kernel cut its pages, or fill one only in part.
    const isDoubtful = since < inode.staleAt || hasBufferedReader(inode);
    if (isDoubtful && !coherence.trusts(inode)) await askAgain(request, inode);
    return entryReply(coherence, inode, parent, since);
  };

  /** With a lease: see askAttributes. The kernel's lookup has been counted: it is answered with what is known. */
  const askAgain = async (request: RequestContext, { ino }: Inode): Promise<void> => {
    try {
      await askAttributes(core, request, ino);
    } catch (error) {
      core.log.debug({ ino, error: String(error) }, "attributes could not be asked for with a lease");
    }
  };

  /** From memory; undefined: it has to be asked for. */
  const known = (parent: Ino, name: Name): Entry | AbsentEntry | undefined => {
    if (!coherence.knowsNames(parent)) return undefined;
    const ino = dentries.get(parent, name);
    if (ino === undefined) return undefined;
    if (ino === null) return { absent: true, entryValidMillis: coherence.nameValidMillis(parent, coherence.moment) };
    const inode = inodes.get(ino);
    if (inode === undefined || !coherence.trusts(inode)) return undefined;
    inode.recentlyUsed = true;
    inodes.lookedUp(inode);
    seenAt(core, inode, parent, name);
    return entryReply(coherence, inode, parent, coherence.moment);
  };

  /** The directory is being listed: its pages may bring the name. */
  const waitAndAsk = async (request: RequestContext, directory: Inode, name: Name): Promise<Entry | AbsentEntry> => {
    const how = { clock: core.clock, signal: request.signal };
    while (directory.namesComing !== undefined) {
      await giveUp(directory.namesComing, how);
      const found = known(directory.ino, name);
      if (found !== undefined) return found;
    }
    return ask(request, directory.ino, name);
  };

  return {
    lookup(request, parent, name) {
      if (name === "." || name === "..") return ask(request, parent, name);
      const found = known(parent, name);
      if (found !== undefined) return found;
      const directory = inodes.get(parent);
      if (directory === undefined) return ask(request, parent, name);
      if (directory.namesComing !== undefined) return waitAndAsk(request, directory, name);
      const asked = ask(request, parent, name);
      listAhead.missed(directory);
      return asked;
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
