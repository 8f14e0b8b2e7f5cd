/** What the namespace's operations are given: see namespace/context.ts. One object per operation. */
import type { Clock } from "../base/clock.ts";
import type { Ino, SessionId } from "../base/ids.ts";
import type { MetadataStore } from "../metadata-store/types.ts";
import type { Capacity } from "./capacity.ts";
import type { Allocator, OperationContext, Space, Transaction } from "./namespace/index.ts";
import type { Sessions } from "./sessions.ts";

export type MakeContext = (transaction: Transaction, session: SessionId) => OperationContext;

export function contextMaker(parts: {
  store: MetadataStore;
  clock: Clock;
  allocator: Allocator;
  sessions: Sessions;
  capacity: Capacity;
}): MakeContext {
  const { store, clock, allocator, sessions, capacity } = parts;
  return (transaction, session) => ({
    transaction,
    nowNanos: clock.wallNanos(),
    session,
    get otherSessions(): readonly SessionId[] {
      const others: SessionId[] = [];
      for (const other of sessions.all()) if (other.id !== session && !other.ended) others.push(other.id);
      return others;
    },
    allocator,
    space: (): Space => capacity.space(),
    checkpoint() {
      store.apply(transaction.changes());
      transaction.clear();
    },
    orphaned: [] as Ino[],
  });
}
