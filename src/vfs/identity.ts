/**
 * For whom the name server acts. A request of the kernel carries uid and gid, not the supplementary groups: they cost a
 * look into /proc. So a call goes out without them, and once more with them when it was refused (a refusal changed
 * nothing), also if they are none: to the name server that is another answer than not knowing. Processes that needed them are remembered and asked for beforehand; the groups themselves are read anew each
 * time, because a process may change them.
 */
import { readFile } from "node:fs/promises";
import { errnoOf } from "../base/errno.ts";
import { limits } from "../base/limits.ts";
import type { RequestContext } from "../fuse/operations.ts";
import type { CallerIdentity } from "../protocol/types.ts";

/** The supplementary groups of a process; none when it is gone. */
export type ReadGroups = (pid: number) => Promise<readonly number[]>;

/** Of a request: who makes it. When a file is made, the kernel also tells whether the directory's group is among theirs. */
type Requester = Pick<RequestContext, "uid" | "gid" | "pid" | "parentGroup">;

export interface Identity {
  /** Runs `call` for who asks. Only for calls that change nothing when they answer EACCES or EPERM. */
  as<T>(request: Requester, call: (caller: CallerIdentity) => Promise<T>): Promise<T>;
}

/** As far as the kernel tells. */
export function plainCaller({ uid, gid, parentGroup }: Requester): CallerIdentity {
  return parentGroup === undefined ? { uid, gid } : { uid, gid, groups: [parentGroup] };
}

export const superuser: CallerIdentity = { uid: 0, gid: 0 };

export function createIdentity(readGroups: ReadGroups): Identity {
  const inNeed = new Set<number>();

  const withGroups = async (request: Requester): Promise<CallerIdentity> => {
    const groups = await readGroups(request.pid);
    return { uid: request.uid, gid: request.gid, groups: groups.slice(0, limits.supplementaryGroupsMax) };
  };

  const remember = (pid: number): void => {
    inNeed.delete(pid);
    inNeed.add(pid);
    if (inNeed.size <= limits.clientGroupedProcessesMax) return;
    for (const oldest of inNeed) {
      inNeed.delete(oldest);
      break;
    }
  };

  return {
    as(request, call) {
      const plain = plainCaller(request);
      if (request.uid === 0 || request.pid === 0) return call(plain);
      return (async () => {
        if (inNeed.has(request.pid)) return call(await withGroups(request));
        try {
          return await call(plain);
        } catch (error) {
          const errno = errnoOf(error);
          if (errno !== "EACCES" && errno !== "EPERM") throw error;
          const grouped = await withGroups(request);
          remember(request.pid);
          return call(grouped);
        }
      })();
    },
  };
}

/** From the line `Groups:` of /proc/PID/status. */
export const readProcessGroups: ReadGroups = async (pid) => {
  const status = await readFile(`/proc/${String(pid)}/status`, "latin1").catch(() => "");
  return groupsOfStatus(status);
};

export function groupsOfStatus(status: string): number[] {
  const line = /^Groups:(.*)$/m.exec(status)?.[1] ?? "";
  return line.split(/\s+/).filter(isDigits).map(Number);
}

function isDigits(text: string): boolean {
  return /^\d+$/.test(text);
}
