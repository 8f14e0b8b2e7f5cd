/**
 * Who changes something will mostly change more of it: after a few changes that had to be asked for, leases are asked for
 * under which the next ones run ahead. Of a directory whose names are changed: the exclusive one. Of a directory whose
 * children are changed or removed: those of all its children, by one listing; again only after twice as many changes,
 * because somebody else may keep them.
 */
import type { Leases } from "../cache/leases.ts";
import type { NameServer } from "../remote/types.ts";
import type { Background } from "./background.ts";
import type { InodeTable } from "./inode-table.ts";
import type { Inode } from "./inode.ts";
import type { ListAhead } from "./list-ahead.ts";

export interface Intent {
  /** Names of the directory are going to be changed at the server. */
  namesChanged(directory: Inode): void;
  /** The inode is going to be changed or removed at the server. */
  changed(inode: Inode): void;
}

const changesMin = 2;

export function createIntent(parts: {
  readonly nameServer: NameServer;
  readonly leases: Leases;
  readonly inodes: InodeTable;
  readonly listAhead: ListAhead;
  readonly background: Background;
}): Intent {
  const { nameServer, leases, inodes, listAhead, background } = parts;

  const acquire = async ({ ino }: Inode): Promise<void> => {
    const since = leases.moment;
    const { attributes } = await nameServer.ask("acquire", { ino, level: "exclusive" });
    inodes.update(attributes, since);
  };

  return {
    namesChanged(directory) {
      if (leases.level(directory.ino) === "exclusive" || ++directory.changesAsked < changesMin) return;
      directory.changesAsked = 0;
      background.run("acquire a directory", acquire(directory));
    },
    changed(inode) {
      if (leases.level(inode.ino) === "exclusive") return;
      const directory = inode.seenIn === undefined ? undefined : inodes.get(inode.seenIn);
      if (directory === undefined || ++directory.childrenAsked < directory.claimAfter) return;
      directory.childrenAsked = 0;
      directory.claimAfter *= 2;
      listAhead.claim(directory);
    },
  };
}
