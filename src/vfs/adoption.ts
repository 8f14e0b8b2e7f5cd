/**
 * Inodes that the kernel knows from a driver before this one: entered into the table at their first use. How often that
 * driver had handed them out is not known; the kernel forgets all of it at once, when it lets the inode go.
 */
import type { Ino } from "../base/ids.ts";
import type { Operations, RequestContext } from "../fuse/operations.ts";
import { staleIfGone, type Core } from "./core.ts";

export function adoptionOperations(core: Core): Pick<Operations, "adopt" | "mayBeKnown"> {
  const { coherence, inodes, nameServer } = core;

  const ask = async (request: RequestContext, ino: Ino): Promise<void> => {
    const since = coherence.moment;
    try {
      const { attributes } = await nameServer.ask("getattr", { ino }, { signal: request.signal });
      if (inodes.get(ino) === undefined) inodes.enter(attributes, since);
      else inodes.update(attributes, since);
    } catch (error) {
      throw staleIfGone(error);
    }
  };

  return {
    adopt: (request, ino) => (inodes.get(ino) === undefined ? ask(request, ino) : undefined),
    mayBeKnown: (ino) => inodes.get(ino) !== undefined,
  };
}
