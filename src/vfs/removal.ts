/**
 * Operations that take a name away: UNLINK, RMDIR, RENAME.
 *
 * The name server must keep a removed inode that is in use here. The kernel names the victim, so which inode that is
 * comes from the names that this client knows; when it does not know, the server keeps the inode in any case, and an
 * unused one is released right after. While a removal without keeping is on its way, opening the victim waits for its
 * end: the file is then either still there or gone, never open and empty.
 */
import { isDirectory, type Attributes } from "../base/attributes.ts";
import type { Ino } from "../base/ids.ts";
import type { Name } from "../base/name.ts";
import { renameFlags, type Operations, type RequestContext } from "../fuse/operations.ts";
import { removeAhead, renameAhead, type Renaming } from "./ahead-removal.ts";
import { changingNames } from "./changing-names.ts";
import { inodeOf, type Core } from "./core.ts";
import { hold, type Inode } from "./inode.ts";
import { movedTo } from "./places.ts";
import { changedNothing } from "./refusals.ts";
import { letGo, removed } from "./use.ts";

interface Victim {
  readonly keep: boolean;
  /** The inode that this is about; another one is kept in any case. */
  readonly victim: Ino | undefined;
  /** What is left of it; null: nothing. Undefined: the operation failed. */
  done(remains: Attributes | null | undefined): void;
}

export function removalOperations(core: Core): Pick<Operations, "unlink" | "rmdir" | "rename"> {
  const remove = async (
    method: "unlink" | "rmdir",
    request: RequestContext,
    parent: Ino,
    name: Name,
  ): Promise<void> => {
    const room = core.orphans.room();
    if (room !== undefined) await room;
    const directory = inodeOf(core, parent);
    const found = knownName(core, parent, name);
    core.intent.namesChanged(directory);
    willChange(core, found);
    const victim = aim(core, found);
    const changed = changingNames(core, [directory]);
    const since = core.coherence.moment;
    let told: Attributes[] | undefined;
    try {
      const { attributes, directories } = await core.identity.as(request, (caller) =>
        core.nameServer.change(method, { caller, parent, name, ...meaning(victim) }, { signal: request.signal }),
      );
      told = directories;
      if (core.coherence.holds(parent, since)) core.dentries.set(parent, name, null);
      else core.dentries.delete(parent, name);
      victim.done(attributes);
    } catch (error) {
      if (!changedNothing(error)) core.dentries.delete(parent, name);
      victim.done(undefined);
      throw error;
    } finally {
      changed(told);
    }
  };

  const removeOrAsk = (
    method: "unlink" | "rmdir",
    request: RequestContext,
    parent: Ino,
    name: Name,
  ): Promise<void> | undefined =>
    removeAhead(core, request, method, parent, name) ? undefined : remove(method, request, parent, name);

  return {
    unlink: (request, parent, name) => removeOrAsk("unlink", request, parent, name),
    rmdir: (request, parent, name) => removeOrAsk("rmdir", request, parent, name),
    rename(request, parent, name, newParent, newName, flags) {
      const renaming = { parent, name, newParent, newName, flags };
      return renameAhead(core, request, renaming) ? undefined : rename(core, request, renaming);
    },
  };
}

/** What is known of a name: see DentryCache. */
type Known = Ino | null | undefined;

function knownName({ coherence, dentries }: Core, parent: Ino, name: Name): Known {
  return coherence.knowsNames(parent) ? dentries.get(parent, name) : undefined;
}

async function rename(core: Core, request: RequestContext, renaming: Renaming): Promise<void> {
  const { coherence } = core;
  const { parent, name, newParent, newName, flags } = renaming;
  const room = core.orphans.room();
  if (room !== undefined) await room;
  const directories = [inodeOf(core, parent), inodeOf(core, newParent)];
  const replaces = (flags & (renameFlags.noReplace | renameFlags.exchange)) === 0;
  if (replaces) await flushBeforeReplacing(core, request, renaming);
  const source = knownName(core, parent, name);
  const target = knownName(core, newParent, newName);
  for (const directory of directories) core.intent.namesChanged(directory);
  willChange(core, source);
  const same = source !== undefined && source === target;
  const victim = replaces && !same ? aim(core, target) : noVictim;
  const changed = changingNames(core, directories);
  const since = coherence.moment;
  let told: Attributes[] | undefined;
  try {
    const reply = await core.identity.as(request, (caller) =>
      core.nameServer.change("rename", { caller, ...renaming, ...meaning(victim) }, { signal: request.signal }),
    );
    told = reply.directories;
    movedTo(core.inodes.changed(reply.attributes, since), newParent, newName);
    const mayKeep = coherence.holds(parent, since) && coherence.holds(newParent, since);
    if (mayKeep) namesAfter(core, renaming, { source, target, moved: reply.attributes });
    else forgetNames(core, renaming);
    if ((flags & renameFlags.exchange) !== 0) markStale(core, target);
    victim.done(reply.replaced);
  } catch (error) {
    if (!changedNothing(error)) forgetNames(core, renaming);
    markStale(core, source);
    victim.done(undefined);
    throw error;
  } finally {
    changed(told);
  }
}

/** Takes in what a rename made of the two names; `source` and `target` are what was known of them before. */
function namesAfter(
  core: Core,
  renaming: Renaming,
  { source, target, moved }: { source: Known; target: Known; moved: Attributes },
): void {
  const { parent, name, newParent, newName, flags } = renaming;
  const { dentries } = core;
  // Between two names of one inode nothing happens.
  if (target === moved.ino) return;
  const maySwallow = target === undefined && moved.nlink > 1 && !isDirectory(moved.mode);
  if ((flags & renameFlags.exchange) !== 0 && typeof target === "number" && source === moved.ino) {
    dentries.set(parent, name, target);
    dentries.set(newParent, newName, source);
  } else if ((flags & (renameFlags.exchange | renameFlags.whiteout)) !== 0 || maySwallow) {
    forgetNames(core, renaming);
  } else {
    dentries.set(parent, name, null);
    dentries.set(newParent, newName, moved.ino);
  }
}

function forgetNames({ dentries }: Core, { parent, name, newParent, newName }: Renaming): void {
  dentries.delete(parent, name);
  dentries.delete(newParent, newName);
}

/** Like ext4's auto_da_alloc: a name never passes from an old file with content to a new one whose content is not durable. */
async function flushBeforeReplacing(core: Core, request: RequestContext, renaming: Renaming): Promise<void> {
  if (knownName(core, renaming.newParent, renaming.newName) === null) return;
  const ino = knownName(core, renaming.parent, renaming.name);
  const inode = typeof ino === "number" ? core.inodes.get(ino) : undefined;
  if (inode?.content?.isDirty !== true) return;
  hold(inode);
  try {
    await inode.content.flush(request.signal);
  } finally {
    letGo(core, inode);
  }
}

/** Of a name that is changed at the server: its inode is, too. */
function willChange(core: Core, known: Known): void {
  const inode = typeof known === "number" ? core.inodes.get(known) : undefined;
  if (inode !== undefined) core.intent.changed(inode);
}

const noVictim: Victim = { keep: true, victim: undefined, done: () => undefined };

function meaning({ keep, victim }: Victim): { keep: boolean; victim?: Ino } {
  return victim === undefined ? { keep } : { keep, victim };
}

function aim(core: Core, ino: Ino | null | undefined): Victim {
  const inode = typeof ino === "number" ? core.inodes.get(ino) : undefined;
  const keep = inode === undefined || inode.opens > 0;
  const unblock = inode === undefined || keep ? undefined : blockOpening(inode);
  return {
    keep,
    victim: keep ? undefined : inode.ino,
    done(remains) {
      finish(core, inode, keep, remains);
      unblock?.();
    },
  };
}

/** Two of its names may be on their way out at once. */
function blockOpening(inode: Inode): () => void {
  let end: () => void = () => undefined;
  const mine = new Promise<void>((resolve) => {
    end = resolve;
  });
  const earlier = inode.removing;
  const removing = earlier === undefined ? mine : Promise.all([earlier, mine]).then(() => undefined);
  inode.removing = removing;
  return () => {
    if (inode.removing === removing) inode.removing = undefined;
    end();
  };
}

function finish(core: Core, inode: Inode | undefined, keep: boolean, remains: Attributes | null | undefined): void {
  if (remains === undefined) {
    if (inode !== undefined) core.inodes.markStale(inode);
    return;
  }
  if (remains === null) {
    if (inode !== undefined) removed(core, inode, false);
    return;
  }
  const victim = core.inodes.changed(remains, core.coherence.moment);
  if (remains.nlink > 0) return;
  // Another one than was meant is kept by the server, whatever it was asked.
  const kept = keep || remains.ino !== inode?.ino;
  if (victim !== undefined) removed(core, victim, kept);
  else if (kept) core.orphans.release(remains.ino);
}

function markStale(core: Core, ino: Ino | null | undefined): void {
  const inode = typeof ino === "number" ? core.inodes.get(ino) : undefined;
  if (inode !== undefined) core.inodes.markStale(inode);
}
