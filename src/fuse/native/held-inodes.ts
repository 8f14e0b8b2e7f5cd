/**
 * Inodes whose lookup count is kept after their use: the filesystem keeps what it knows of an inode while it is counted,
 * as it is for the kernel of the first driver. It costs no truth: each name is asked for at each use, and whether it may
 * be answered from memory the filesystem decides.
 *
 * - One count each, at most `heldMax` inodes; the one used least recently is forgotten.
 * - An inode that is removed here is let go at once, or its space would stay until then; one that another machine
 *   changed, when the filesystem says so.
 */
import type { Ino } from "../../base/ids.ts";

export interface HeldInodes {
  /** A use that counted one lookup is over. */
  used(ino: Ino): void;
  /** Not kept any longer. */
  drop(ino: Ino): void;
  dropAll(): void;
}

const heldMaxDefault = 16_384;

export function createHeldInodes(forget: (ino: Ino, count: number) => void, heldMax = heldMaxDefault): HeldInodes {
  /** The one used last comes last. */
  const held = new Set<Ino>();
  const drop = (ino: Ino): void => {
    if (held.delete(ino)) forget(ino, 1);
  };
  return {
    used(ino) {
      if (held.delete(ino)) forget(ino, 1);
      held.add(ino);
      if (held.size <= heldMax) return;
      for (const oldest of held) {
        drop(oldest);
        break;
      }
    },
    drop,
    dropAll() {
      for (const ino of held) drop(ino);
    },
  };
}
