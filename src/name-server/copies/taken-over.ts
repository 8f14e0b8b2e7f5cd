/** What a server ends with that is not the cluster's any more, or perhaps not. */
import { FsError } from "../../base/errno.ts";
import type { JournalRegister } from "../../protocol/journal-methods.ts";

/** The newest register is another server's. */
export function takenOver({ epoch }: Pick<JournalRegister, "epoch">): FsError {
  return new FsError(
    "ESTALE",
    `this cluster was taken over by another name server (epoch ${String(epoch)}): start that one. This folder is not needed ` +
      "any more",
  );
}

/** A storage node has promised to obey another server, which may not have got any further. */
export function claimed(cause: unknown): FsError {
  return new FsError(
    "ESTALE",
    "another name server has claimed this cluster: this one ends. If that one does not serve, start this one again: it goes " +
      "on unless it has been replaced",
    { cause },
  );
}
