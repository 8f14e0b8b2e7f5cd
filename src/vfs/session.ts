/**
 * What the name server tells this client by itself: whether it may cache, which inodes lost their last name, and that a
 * session began. A session that was lost takes with it what it had not sent, its locks and the removed inodes it kept:
 * handles that depend on those answer EIO until they are closed.
 */
import { FsError } from "../base/errno.ts";
import type { Log } from "../base/log.ts";
import type { NameServerEvents } from "../remote/types.ts";
import type { Coherence } from "./coherence.ts";
import type { Core } from "./core.ts";
import type { OpenFile } from "./inode.ts";
import { removed } from "./use.ts";

export interface SessionEventsParts {
  readonly coherence: Coherence;
  readonly log: Log;
  /** Undefined before the vfs is attached. */
  readonly core: () => Core | undefined;
}

export function createSessionEvents({ coherence, log, core }: SessionEventsParts): NameServerEvents {
  return {
    handlers: {
      async setCaching({ allowed }) {
        log.info(
          { allowed },
          allowed ? "caching: this session is the only one" : "caching off: there are other sessions",
        );
        await (allowed ? coherence.allow() : coherence.forbid());
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
    onSession({ caching, resumed }) {
      const here = core();
      if (!resumed && here !== undefined) loseSession(here);
      if (caching === coherence.caching) return;
      // Not waited for: what it flushes is sent after this has returned.
      const switched = caching ? coherence.allow() : coherence.forbid();
      if (here !== undefined) here.background.run("switch caching", switched);
      else {
        switched.catch((error: unknown) => {
          log.error({ error: String(error) }, "switching caching failed");
        });
      }
    },
  };
}

function loseSession(core: Core): void {
  core.log.error({}, "the session was lost: what it had not sent, its locks and its removed open files are gone");
  core.contents.sessionLost();
  core.orphans.clear();
  for (const file of core.handles.files()) {
    const { inode } = file;
    const lost = inode.lostData || inode.removed || file.flocked || (file.lockOwners?.size ?? 0) > 0;
    if (lost) fail(file, "the session that had it open was lost");
  }
  for (const inode of core.inodes.all()) {
    inode.lockOwners = undefined;
    inode.orphan = false;
  }
  core.background.run("forget after a lost session", core.coherence.forgetEverything());
}

/** Answers EIO until it is closed. */
function fail(file: OpenFile, why: string): void {
  file.failed = new FsError("EIO", `inode ${String(file.inode.ino)}: ${why}; close the file`);
  file.lockOwners = undefined;
  file.flocked = false;
}
