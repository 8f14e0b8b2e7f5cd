/**
 * Runs operations: a synchronous function over a fresh transaction, whose changes are applied as one batch.
 *
 * What always holds: no result, of a read neither, leaves before every record that it could have seen is durable; an
 * operation that throws has changed nothing. While everything is durable a read answers in the same turn.
 */
import type { Change, MetadataStore } from "../metadata-store/types.ts";
import { Transaction } from "./namespace/index.ts";

export type MaybePromise<T> = T | Promise<T>;

export interface Execution {
  /** Runs a function that changes nothing. */
  read<T>(run: (transaction: Transaction) => T): MaybePromise<T>;
  /** Runs a change of the server's own, which nobody sends again; resolves when it is durable. */
  change<T>(run: (transaction: Transaction) => T): Promise<T>;
  /** Undefined: there is room for changes; else to be looked at again when it has resolved. */
  room(): Promise<void> | undefined;
  /** Makes the changes visible, in their order. */
  apply(changes: readonly Change[]): void;
  /** Settles as `outcome` does, once everything that has been applied so far is durable. */
  whenDurable<T>(outcome: () => T): MaybePromise<T>;
}

/** `timed`: the same promise, observed. */
export function createExecution(
  store: MetadataStore,
  timed: (wait: Promise<void>) => Promise<void> = (wait) => wait,
): Execution {
  const whenDurable = <T>(outcome: () => T): MaybePromise<T> =>
    store.isDurable ? outcome() : timed(store.durable()).then(outcome);

  return {
    whenDurable,
    room: () => store.room(),
    apply: (changes) => {
      store.apply(changes);
    },

    read(run) {
      let value: ReturnType<typeof run>;
      try {
        value = run(new Transaction(store));
      } catch (error) {
        return whenDurable(() => {
          throw error;
        });
      }
      return whenDurable(() => value);
    },

    async change(run) {
      for (let room = store.room(); room !== undefined; room = store.room()) await room;
      const transaction = new Transaction(store);
      const value = run(transaction);
      const changes = transaction.changes();
      if (changes.length > 0) store.apply(changes);
      return whenDurable(() => value);
    },
  };
}
