/**
 * Giving back what the name server asks for. In the frame handler, before anything else runs: the lease is lowered, and
 * what is remembered here of the recalled parts is dropped. Then, in this order: what was changed under the lease is
 * flushed and said to be ("flushed"), the kernel forgets, and the recall is acknowledged.
 *
 * A recall waits for no request of this client, but for a change of the file itself, which holds its flush back: then
 * the server is told that we are blocked, and lets our changes go first. So it is when the kernel keeps us waiting.
 */
import { sleep } from "../base/clock.ts";
import { errnoOf } from "../base/errno.ts";
import type { Ino } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import { isDirectory } from "../base/attributes.ts";
import type { LeaseLevel, LeaseNews, LeaseRecall, LeaseScope } from "../protocol/leases.ts";
import type { Core } from "./core.ts";
import { hasWriter, type Inode } from "./inode.ts";
import type { ForgottenName } from "./kernel-caches.ts";

export interface Recalls {
  /** In the frame handler. */
  recalled(recalls: readonly LeaseRecall[]): void;
  /** What is given back and was changed under its lease: not all of that is at the name server yet. */
  readonly flushing: Iterable<Ino>;
}

/** What is to be done behind a recall. */
interface Debt {
  readonly recall: LeaseRecall;
  readonly before: LeaseLevel;
  readonly inode: Inode | undefined;
  readonly names: readonly ForgottenName[];
}

const blockedMillis = 1_000;

export function createRecalls(core: Core): Recalls {
  const { contents, dentries, inodes, leases, background, nameServer, log, clock } = core;
  let waiting: LeaseNews[] = [];
  /** Under way, for recalls of these inodes. */
  const flushes = new Map<Ino, Promise<void>>();

  /** What is told in one turn travels together. */
  const tell = (news: LeaseNews): void => {
    waiting.push(news);
    if (waiting.length > 1) return;
    queueMicrotask(() => {
      const all = waiting;
      waiting = [];
      nameServer.tell(all);
    });
  };

  const lower = (recall: LeaseRecall): Debt => {
    const before = leases.recalled(recall);
    const { ino, to, drop } = recall;
    const inode = inodes.get(ino);
    const names: ForgottenName[] = [];
    if (before === "exclusive" && inode?.directory === true) lowerChildren(ino);
    if (to === "none" || drop.some(({ kind }) => kind === "everything")) dentries.forget(ino);
    for (const scope of drop) if (scope.kind === "entry") names.push(forgetName(recall.ino, scope.name));
    if (to === "none" || drop.some(({ kind }) => kind !== "entry" && kind !== "attributes")) contents.forget(ino);
    if (inode !== undefined) {
      inode.changesAsked = 0;
      if (to === "none" || drop.length > 0) inodes.markStale(inode);
      if (names.length > 0 || to === "none") inode.namesChangedAt = leases.moment;
    }
    return { recall, before, inode, names };
  };

  /** Who asks for a directory will ask for its children: those that are not being changed are given back beforehand. */
  const lowerChildren = (directory: LeaseRecall["ino"]): void => {
    let left = limits.leaseNewsMax * 4;
    for (const ino of dentries.children(directory)) {
      const inode = inodes.get(ino);
      if (inode?.content?.isDirty === true || hasWriter(inode)) continue;
      const number = leases.lower(ino);
      if (number === undefined) continue;
      tell({ kind: "lowered", ino, number });
      if (--left === 0) return;
    }
  };

  const forgetName = (directory: LeaseRecall["ino"], name: ForgottenName["name"]): ForgottenName => {
    const known = dentries.get(directory, name);
    dentries.delete(directory, name);
    const inode = typeof known === "number" ? inodes.get(known) : undefined;
    const isFile =
      known === null || (inode?.attributes !== undefined && !inode.directory && !isDirectory(inode.attributes.mode));
    return { name, mayBeDirectory: !isFile };
  };

  /** A recall that comes again, or for the rest, finds the lease lowered already, and what was changed under it still here. */
  const flush = (ino: Ino, before: LeaseLevel): Promise<void> | undefined => {
    if (before !== "exclusive") return flushes.get(ino);
    const flushing = contents.flushForRecall(ino).finally(() => {
      if (flushes.get(ino) === flushing) flushes.delete(ino);
    });
    flushes.set(ino, flushing);
    return flushing;
  };

  const answer = async ({ recall, before, inode, names }: Debt): Promise<void> => {
    const { ino, number } = recall;
    try {
      const flushing = flush(ino, before);
      if (flushing !== undefined) {
        if (contents.isHeld(ino)) tell({ kind: "blocked" });
        await flushing;
        if (recall.drop.length > 0 && inode !== undefined) tell({ kind: "flushed", ino, number });
      }
      // One that is not here the kernel does not know either, but for what an earlier driver of this mount told it.
      const forgotten =
        inode === undefined ? core.notifier?.invalidateData(ino, 0, 0) : forgetInKernel(core, inode, recall, names);
      if (forgotten !== undefined) await sayingWhenBlocked(forgotten);
      tell({ kind: "acknowledged", ino, number });
    } catch (error) {
      // Not acknowledged: what the kernel still believes, the server may not give away. The session ends by that.
      log.error({ ino, errno: errnoOf(error), error: String(error) }, "a lease could not be given back");
    }
  };

  const sayingWhenBlocked = async (forgotten: Promise<unknown>): Promise<void> => {
    const done = new AbortController();
    const watching = sleep(clock, blockedMillis, done.signal).then(
      () => {
        tell({ kind: "blocked" });
      },
      () => undefined,
    );
    try {
      await forgotten;
    } finally {
      done.abort(new Error("done"));
      await watching;
    }
  };

  return {
    get flushing() {
      return flushes.keys();
    },
    recalled(all) {
      for (const recall of all) background.run("give a lease back", answer(lower(recall)));
    },
  };
}

async function forgetInKernel(
  core: Pick<Core, "kernelCaches">,
  inode: Inode,
  { to, drop }: LeaseRecall,
  names: readonly ForgottenName[],
): Promise<void> {
  const kernel = core.kernelCaches;
  if (kernel === undefined) return;
  const whole = to === "none" || drop.some(({ kind }) => kind === "everything");
  if (inode.directory) {
    if (whole) await kernel.forgetDirectory(inode);
    else if (names.length > 0) await kernel.forgetNames(inode, names);
    else if (drop.length > 0) await kernel.forgetAttributes(inode);
    return;
  }
  if (whole) {
    await kernel.forgetData(inode, 0, 0);
    return;
  }
  const data = drop.find((scope): scope is LeaseScope & { kind: "data" } => scope.kind === "data");
  if (data !== undefined) await kernel.forgetData(inode, data.offset, data.length);
  else if (drop.length > 0) await kernel.forgetAttributes(inode);
}
