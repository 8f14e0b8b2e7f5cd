/**
 * One repair: a transaction of the server's own, for which nobody believes anything of the inodes that it changes (their
 * leases are taken first, as for any other change).
 */
import type { Clock } from "../../base/clock.ts";
import { FsError } from "../../base/errno.ts";
import { rootIno, type Ino, type SessionId } from "../../base/ids.ts";
import { limits } from "../../base/limits.ts";
import type { Name } from "../../base/name.ts";
import type { MetadataStore } from "../../metadata-store/types.ts";
import type { LeaseService } from "../lease-service.ts";
import type { Want } from "../leases/types.ts";
import { findEntry, Transaction, type OperationContext } from "../namespace/index.ts";
import type { Session } from "../types.ts";
import type { Place, Repair } from "./types.ts";

export interface MendParts {
  readonly store: MetadataStore;
  readonly clock: Clock;
  readonly leases: LeaseService;
  readonly makeContext: (transaction: Transaction) => OperationContext;
}

/**
 * Whether it was done (and is durable): false if what was found is not so any more, or cannot be put right. Rejects with
 * EAGAIN when somebody does not give back what he holds.
 */
export async function mend(
  { store, clock, leases, makeContext }: MendParts,
  repair: Repair,
  names: readonly Place[],
  stopping: AbortSignal,
): Promise<boolean> {
  const patience = new AbortController();
  const timer = clock.after(limits.recallMillisMax, () => {
    patience.abort(new FsError("EAGAIN", "an inode that is to be repaired is not given back"));
  });
  const signal = AbortSignal.any([stopping, patience.signal]);
  const turn = leases.turn({
    session: nobody,
    wants: () => wantsOf(store, repair, names),
    signal: () => signal,
    outlivesConnection: false,
  });
  try {
    if (wantsOf(store, repair, names).length > limits.leaseWantsMax) return false;
    for (;;) {
      const wait = store.room() ?? turn.ready();
      if (wait === undefined) break;
      await wait;
    }
    const transaction = new Transaction(store);
    try {
      if (!repair.run(makeContext(transaction), names)) return false;
      store.apply(transaction.changes());
    } finally {
      turn.leave();
    }
    await store.durable();
    return true;
  } finally {
    timer.cancel();
  }
}

/** Also the directories of the names, which a repair may remove, and the one for what is found. */
function wantsOf(store: MetadataStore, repair: Repair, names: readonly Place[]): readonly Want[] {
  const inos = new Set<Ino>(repair.inos);
  if (inos.size > 0) for (const { parent } of names) inos.add(parent);
  const found = inos.has(rootIno) ? findEntry(store, rootIno, "lost+found" as Name)?.ino : undefined;
  if (found !== undefined) inos.add(found);
  return [...inos].map((ino) => ({ ino, level: "exclusive", changes: [{ kind: "everything" }] }));
}

/** For whom the server's own changes are made: it has no connection, and never keeps a lease. */
const nobody: Session = {
  id: "0000000000000000" as SessionId,
  clientName: "fsck",
  opened: 0n,
  peer: undefined,
  callable: false,
  heardAt: 0,
  answeredAt: 0,
  awaited: false,
  condemned: false,
  ended: false,
};
