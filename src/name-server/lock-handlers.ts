/** The methods that are about locks. */
import type { NameServerMethods } from "../protocol/name-server.ts";
import type { Handlers } from "../rpc/types.ts";
import type { LockService } from "./lock-service.ts";
import type { Sessions } from "./sessions.ts";
import type { PeerMethods } from "./types.ts";

export type LockHandlers = Pick<Handlers<NameServerMethods, PeerMethods>, "getLock" | "setLock" | "releaseLocks">;

export function createLockHandlers({ sessions, locks }: { sessions: Sessions; locks: LockService }): LockHandlers {
  return {
    getLock({ ino, lock }, context) {
      const found = locks.getLock(sessions.of(context.peer), ino, lock, () => context.signal);
      return found instanceof Promise ? found.then((late) => ({ lock: late })) : { lock: found };
    },
    setLock(request, context) {
      const waiting = locks.setLock(sessions.of(context.peer), request, () => context.signal);
      return waiting === undefined ? {} : waiting.then(() => ({}));
    },
    releaseLocks(request, { peer }) {
      locks.releaseLocks(sessions.of(peer), request);
      return {};
    },
  };
}
