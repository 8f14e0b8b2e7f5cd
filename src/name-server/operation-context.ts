/** What the namespace's operations are given: see namespace/context.ts. One object per operation, made as cheap as can be. */
import type { Nanos } from "../base/attributes.ts";
import type { Clock } from "../base/clock.ts";
import type { BlockId, Ino, SessionId } from "../base/ids.ts";
import type { MetadataStore } from "../metadata-store/types.ts";
import type { Capacity } from "./capacity.ts";
import type { Numbers, OperationContext, Space, Transaction } from "./namespace/index.ts";
import type { Sessions } from "./sessions.ts";

export type MakeContext = (transaction: Transaction, session: SessionId) => OperationContext;

interface Surroundings {
  readonly store: MetadataStore;
  readonly clock: Clock;
  readonly allocator: Numbers;
  readonly sessions: Sessions;
  readonly capacity: Capacity;
  readonly halfDead: { note(block: BlockId, owner: Ino | 0): void };
}

export function contextMaker(surroundings: Surroundings): MakeContext {
  return (transaction, session) => new Context(surroundings, transaction, session);
}

class Context implements OperationContext {
  readonly transaction: Transaction;
  readonly session: SessionId;
  readonly orphaned: Ino[] = [];
  readonly #surroundings: Surroundings;
  #now: Nanos | undefined;

  constructor(surroundings: Surroundings, transaction: Transaction, session: SessionId) {
    this.#surroundings = surroundings;
    this.transaction = transaction;
    this.session = session;
  }

  /** The same throughout the operation. */
  get nowNanos(): Nanos {
    return (this.#now ??= this.#surroundings.clock.wallNanos());
  }

  get allocator(): Numbers {
    return this.#surroundings.allocator;
  }

  get otherSessions(): readonly SessionId[] {
    const others: SessionId[] = [];
    for (const { id, ended } of this.#surroundings.sessions.all()) if (id !== this.session && !ended) others.push(id);
    return others;
  }

  space(): Space {
    return this.#surroundings.capacity.space();
  }

  noteHalfDead(block: BlockId, owner: Ino | 0): void {
    this.#surroundings.halfDead.note(block, owner);
  }

  checkpoint(): void {
    this.#surroundings.store.apply(this.transaction.changes());
    this.transaction.clear();
  }
}
