/** Dumps as operators ask for them: one at a time (each keeps a state of the store from being reused on disk). */
import { FsError } from "../../base/errno.ts";
import type { Clock } from "../../base/clock.ts";
import type { MetadataStore } from "../../metadata-store/types.ts";
import type { NameServerMethods } from "../../protocol/name-server.ts";
import { WithPayload, type Handlers } from "../../rpc/types.ts";
import { requireRole } from "../handlers.ts";
import type { PeerMethods, RemotePeer } from "../types.ts";
import { startDump, type DumpRun } from "./dump-run.ts";

export type DumpHandlers = Pick<Handlers<NameServerMethods, PeerMethods>, "dumpStart" | "dumpNext">;

export interface Dump {
  readonly handlers: DumpHandlers;
  close(): Promise<void>;
}

export function createDump({ store, clock }: { store: MetadataStore; clock: Clock }): Dump {
  let running: { readonly run: DumpRun; readonly peer: RemotePeer } | undefined;

  return {
    handlers: {
      dumpStart(_request, context) {
        requireRole(context, "admin");
        if (running?.run.isStopped === false) throw new FsError("EBUSY", "a dump is under way already");
        const { peer } = context;
        const run = startDump(store, clock);
        running = { run, peer };
        void peer.closed.then(async () => {
          run.stop(new FsError("ECANCELED", "the connection of the dump broke"));
          await run.over;
          if (running?.run === run) running = undefined;
        });
        return {};
      },

      async dumpNext(_request, context) {
        requireRole(context, "admin");
        if (running?.peer !== context.peer) throw new FsError("EINVAL", "this connection makes no dump");
        const { run } = running;
        const piece = await run.next();
        if (piece.length > 0) return new WithPayload({}, [piece]);
        run.stop(new FsError("EINVAL", "the dump is over"));
        running = undefined;
        return {};
      },
    },

    async close() {
      const run = running?.run;
      run?.stop(new FsError("ECANCELED", "the name server stops"));
      await run?.over;
    },
  };
}
