/**
 * GETLK and SETLK of fcntl, OFD and flock locks: all of them live in the name server's table. Here is only remembered
 * who may have locks, so that closing a file without any costs no message. fcntl locks of an owner end with its first
 * close (FLUSH), OFD locks with the open file (RELEASE, which does not name their owner), flocks with the open file.
 */
import { errnoOf, FsError } from "../base/errno.ts";
import type { Operations } from "../fuse/operations.ts";
import type { Core } from "./core.ts";
import type { Inode, OpenFile } from "./inode.ts";

export function lockOperations(core: Core): Pick<Operations, "getlk" | "setlk"> {
  const { nameServer, handles } = core;
  return {
    async getlk(request, ino, handle, lock) {
      handles.file(handle);
      const found = await nameServer.ask("getLock", { ino, lock }, { signal: request.signal });
      return found.lock ?? undefined;
    },
    async setlk(request, ino, handle, lock, wait) {
      const file = handles.file(handle);
      // Before it is granted: whatever becomes of the call, closing asks for its release.
      if (lock.type !== "unlock") remember(file, lock.kind, lock.owner);
      try {
        const deadline = wait ? { deadlineMillis: Infinity } : {};
        await nameServer.ask("setLock", { ino, lock, wait }, { signal: request.signal, ...deadline });
      } catch (error) {
        if (!wait || !request.signal.aborted) throw error;
        throw new FsError("EINTR", "waiting for a lock was interrupted", { cause: error });
      }
      if (file.failed === undefined || lock.type === "unlock") return;
      // The handle failed while the lock was waited for, and nobody could release it through that.
      await nameServer
        .ask("setLock", { ino, lock: { ...lock, type: "unlock" }, wait: false })
        .catch((error: unknown) => {
          core.log.warn({ ino, errno: errnoOf(error) }, "a lock of a failed handle was not given back");
        });
      throw file.failed;
    },
  };
}

function remember(file: OpenFile, kind: "posix" | "flock", owner: bigint): void {
  if (kind === "flock") {
    file.flocked = true;
    return;
  }
  (file.lockOwners ??= new Set()).add(owner);
  (file.inode.lockOwners ??= new Set()).add(owner);
}

/** An owner closed the file: none of its fcntl locks stay, through whichever of its descriptors they were taken. */
export async function releaseOwner(core: Core, inode: Inode, owner: bigint): Promise<void> {
  inode.lockOwners?.delete(owner);
  for (const file of inode.files ?? []) file.lockOwners?.delete(owner);
  await core.nameServer.ask("releaseLocks", { ino: inode.ino, owner, kind: "posix" });
}

/** The open file is gone. Undefined when it had no locks. Never rejects: nobody would see it. */
export function releaseClosed(core: Core, file: OpenFile, flockOwner: bigint | undefined): Promise<void> | undefined {
  const owners = [...(file.lockOwners ?? [])].filter((owner) => file.inode.lockOwners?.has(owner) === true);
  const flock = flockOwner !== undefined && file.flocked ? flockOwner : undefined;
  if (owners.length === 0 && flock === undefined) return undefined;
  const { ino } = file.inode;
  const releases = owners.map((owner) => releaseOwner(core, file.inode, owner));
  if (flock !== undefined)
    releases.push(core.nameServer.ask("releaseLocks", { ino, owner: flock, kind: "flock" }).then(() => undefined));
  return Promise.all(releases).then(
    () => undefined,
    (error: unknown) => {
      core.log.warn(
        { ino, errno: errnoOf(error) },
        "locks of a closed file were not released: they end with the session",
      );
    },
  );
}
