/**
 * What the name server tells this client by itself: which leases it wants back, which inodes lost their last name, and
 * that a session began. A session that was lost takes with it what it had not sent, its locks and the removed inodes it
 * kept: handles that depend on those answer EIO until they are closed.
 *
 * While the session may be over at the server nothing is believed (cache/leases.ts). Names and attributes then have run
 * out in the kernel by themselves; pages know no time, and are dropped here before.
 */
import type { Clock, Timer } from "../base/clock.ts";
import { FsError } from "../base/errno.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import type { Leases } from "../cache/leases.ts";
import type { NameServerEvents } from "../remote/types.ts";
import type { Core } from "./core.ts";
import { forgetEverything, forgetPages } from "./forgetting.ts";
import type { OpenFile } from "./inode.ts";
import type { Recalls } from "./recalls.ts";
import { removed } from "./use.ts";

export interface SessionEventsParts {
  readonly leases: Leases;
  readonly clock: Clock;
  readonly log: Log;
  /** Undefined before the vfs is attached. */
  readonly core: () => Core | undefined;
  readonly recalls: () => Recalls | undefined;
}

export function createSessionEvents({
  leases,
  clock,
  log,
  core,
  recalls: answer,
}: SessionEventsParts): NameServerEvents {
  let watch: Timer | undefined;

  /** Looks again when what is believed now would end. */
  const watchTrust = (): void => {
    watch ??= clock.after(
      Math.max(0, leases.trustedUntil - clock.monotonicMillis()),
      () => {
        watch = undefined;
        if (leases.trustedUntil > clock.monotonicMillis()) watchTrust();
        else stopBelieving();
      },
      { unref: true },
    );
  };

  const stopBelieving = (): void => {
    const here = core();
    if (here === undefined) return;
    log.warn({}, "no answer from the name server: nothing cached is believed until there is one");
    here.background.run("drop pages that may be old", forgetPages(here));
  };

  return {
    handlers: {
      recallLeases({ recalls }) {
        answer()?.recalled(recalls);
        return {};
      },
      inodesRemoved({ inos }) {
        const here = core();
        if (here === undefined) return { inUse: [] };
        return {
          inUse: inos.filter((ino) => {
            const inode = here.inodes.get(ino);
            if (inode === undefined) return false;
            const inUse = inode.opens > 0;
            removed(here, inode, inUse);
            return inUse;
          }),
        };
      },
    },
    onTrusted(until) {
      leases.trust(until - limits.trustMarginMillis);
      watchTrust();
    },
    ahead: {
      moment: () => leases.moment,
      onApplied(attributes, grants, asked) {
        leases.granted(grants, asked);
        core()?.inodes.settled(attributes);
      },
      onLost(error) {
        log.error({ error: String(error) }, "changes that ran ahead are lost");
        const here = core();
        // The session goes on, and with it the locks.
        if (here !== undefined) loseChanges(here);
      },
    },
    heldLeases() {
      // What is being flushed for a recall is this client's alone until it is flushed: nobody may read around it.
      const held = new Map(leases.held().map((lease) => [lease.ino, lease.level]));
      for (const ino of answer()?.flushing ?? []) held.set(ino, "exclusive");
      return Array.from(held, ([ino, level]) => ({ ino, level }));
    },
    onLeasesReclaimed(asked, grants) {
      const lost = leases.reclaimed(asked, grants);
      const here = core();
      if (lost.length === 0 || here === undefined) return;
      log.error({ leases: lost.length }, "leases were lost with the name server's restart");
      for (const ino of lost) here.contents.lose(ino);
      here.background.run("forget what was lost", forgetEverything(here));
    },
    onLocksLost(locks) {
      const here = core();
      if (here === undefined) return;
      for (const { ino, lock } of locks) {
        for (const file of here.inodes.get(ino)?.files ?? []) {
          const mine = lock.kind === "flock" ? file.flocked : file.lockOwners?.has(lock.owner) === true;
          if (mine) fail(file, "a lock taken through it went to somebody else");
        }
      }
    },
    onSession({ resumed }) {
      const here = core();
      if (resumed) return;
      leases.clear();
      if (here !== undefined) loseSession(here);
    },
  };
}

function loseSession(core: Core): void {
  core.log.error({}, "the session was lost: what it had not sent, its locks and its removed open files are gone");
  for (const file of core.handles.files()) {
    if (file.flocked || (file.lockOwners?.size ?? 0) > 0) fail(file, "the session that had locks of it was lost");
    file.lockOwners = undefined;
    file.flocked = false;
  }
  core.orphans.clear();
  for (const inode of core.inodes.all()) {
    inode.lockOwners = undefined;
    inode.orphan = false;
  }
  loseChanges(core);
}

/** What was not at the name server yet is gone, and nothing that is known can be believed. */
function loseChanges(core: Core): void {
  core.contents.sessionLost();
  for (const file of core.handles.files()) {
    if (file.inode.lostData || file.inode.removed) fail(file, "what was not sent of it was lost");
  }
  for (const inode of core.inodes.all()) {
    // The session goes on, and would keep it to its end. (If its removal is lost, there is nothing to release.)
    if (inode.orphan) core.orphans.release(inode.ino);
    inode.orphan = false;
    // Perhaps nobody heard of its removal: the server says so from now on.
    inode.removed = false;
  }
  core.background.run("forget what was lost", forgetEverything(core));
}

/** Answers EIO until it is closed, which also ends the locks that it still has. */
function fail(file: OpenFile, why: string): void {
  file.failed = new FsError("EIO", `inode ${String(file.inode.ino)}: ${why}; close the file`);
}
