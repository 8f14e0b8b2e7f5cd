/**
 * Recalls on their way to clients: those of one turn of the event loop travel together, in their order. A recall tells
 * nothing of the store, so it need not wait for the disk.
 *
 * Whoever has no connection is sent nothing: it gets all recalls that are under way once it can be called again.
 */
import type { SessionId } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import type { LeaseRecall } from "../protocol/leases.ts";
import type { Sessions } from "./sessions.ts";

export interface RecallSender {
  send(session: SessionId, recall: LeaseRecall): void;
}

export function createRecallSender(sessions: Sessions): RecallSender {
  const unsent = new Map<SessionId, LeaseRecall[]>();

  function flush(): void {
    for (const [id, recalls] of unsent) {
      const session = sessions.get(id);
      if (session?.peer === undefined || !session.callable) continue;
      for (const batch of batches(recalls)) session.peer.notify("recallLeases", { recalls: batch });
    }
    unsent.clear();
  }

  return {
    send(session, recall) {
      const waiting = unsent.get(session);
      if (waiting !== undefined) {
        waiting.push(recall);
        return;
      }
      if (unsent.size === 0) queueMicrotask(flush);
      unsent.set(session, [recall]);
    },
  };
}

/** What one recall takes in a message, beside names, and what each part that it names does. */
const recallBytes = 64;
const scopeBytes = 48;

/** Cut so that each fits a message. */
function* batches(recalls: readonly LeaseRecall[]): Generator<LeaseRecall[], void> {
  let batch: LeaseRecall[] = [];
  let bytes = 0;
  for (const recall of recalls) {
    const size = recall.drop.reduce((sum, scope) => sum + scopeBytes + nameBytes(scope), recallBytes);
    if (batch.length === limits.leaseNewsMax || bytes + size > limits.messageBytesMax) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(recall);
    bytes += size;
  }
  yield batch;
}

function nameBytes(scope: LeaseRecall["drop"][number]): number {
  return scope.kind === "entry" ? scope.name.length : 0;
}
