/**
 * What the namespace's operation of an entry is given: as for an ordinary request, but at the time at which the entry was
 * answered, with the number that it gave its inode, and with room, because what was answered is not refused any more.
 */
import type { Nanos } from "../../base/attributes.ts";
import type { BlockId, Ino, SessionId } from "../../base/ids.ts";
import type { Numbers, OperationContext, Space, Transaction } from "../namespace/index.ts";

export class EntryContext implements OperationContext {
  readonly transaction: Transaction;
  readonly nowNanos: Nanos;
  readonly session: SessionId;
  readonly orphaned: Ino[];
  readonly allocator: Numbers;
  readonly checkpoint: () => void;
  readonly #ordinary: OperationContext;

  constructor(
    ordinary: OperationContext,
    entry: { readonly time: Nanos; readonly ino: Ino | undefined; readonly checkpoint: () => void },
  ) {
    this.#ordinary = ordinary;
    this.transaction = ordinary.transaction;
    this.session = ordinary.session;
    this.orphaned = ordinary.orphaned;
    this.nowNanos = entry.time;
    this.checkpoint = entry.checkpoint;
    this.allocator = entry.ino === undefined ? ordinary.allocator : giving(entry.ino, ordinary.allocator);
  }

  get otherSessions(): readonly SessionId[] {
    return this.#ordinary.otherSessions;
  }

  noteHalfDead(block: BlockId, owner: Ino | 0): void {
    this.#ordinary.noteHalfDead(block, owner);
  }

  space(): Space {
    return { ...this.#ordinary.space(), metadataFull: false };
  }
}

/** The first number that is asked for is the given one. */
function giving(ino: Ino, others: Numbers): Numbers {
  let given: Ino | undefined = ino;
  return {
    ino(transaction) {
      const next = given ?? others.ino(transaction);
      given = undefined;
      return next;
    },
    reclaimSequence: () => others.reclaimSequence(),
    passOver: (used) => {
      others.passOver(used);
    },
  };
}
