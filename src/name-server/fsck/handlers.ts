/** Checks as operators ask for them: one at a time, for as long as the connection lives. */
import { FsError } from "../../base/errno.ts";
import type { NameServerMethods } from "../../protocol/name-server.ts";
import type { Handlers } from "../../rpc/types.ts";
import { requireRole } from "../handlers.ts";
import type { PeerMethods, RemotePeer } from "../types.ts";
import { startFsck, type FsckParts, type FsckRun } from "./fsck.ts";

export type FsckHandlers = Pick<Handlers<NameServerMethods, PeerMethods>, "fsckStart" | "fsckNext">;

export interface Fsck {
  readonly handlers: FsckHandlers;
  close(): Promise<void>;
}

export function createFsck(parts: FsckParts): Fsck {
  let running: { readonly run: FsckRun; readonly peer: RemotePeer } | undefined;
  const ended = (run: FsckRun): void => {
    run.outlet.close();
    if (running?.run === run) running = undefined;
  };

  return {
    handlers: {
      fsckStart(request, context) {
        requireRole(context, "admin");
        if (running !== undefined) throw new FsError("EBUSY", "a check is running already");
        const { peer } = context;
        const run = startFsck(parts, request);
        running = { run, peer };
        void peer.closed.then(() => {
          run.stop(new FsError("ECANCELED", "the connection of the check broke"));
        });
        run.signal.addEventListener("abort", () => {
          void run.over.then(() => {
            ended(run);
          });
        });
        return {};
      },

      async fsckNext(_request, context) {
        requireRole(context, "admin");
        if (running?.peer !== context.peer) throw new FsError("EINVAL", "this connection runs no check");
        const { run } = running;
        try {
          const said = await run.outlet.next();
          if (said.end !== null) ended(run);
          return said;
        } catch (error) {
          ended(run);
          throw error;
        }
      },
    },

    async close() {
      const run = running?.run;
      run?.stop(new FsError("ECANCELED", "the name server stops"));
      await run?.over;
      run?.outlet.close();
    },
  };
}
