/** Brackets a change of names: what was asked for before its end is not remembered, and the directories' attributes follow. */
import type { Attributes } from "../base/attributes.ts";
import type { Core } from "./core.ts";
import type { Inode } from "./inode.ts";

/**
 * Names in these directories change now. Returns what to call at the end, with the directories as the server left them;
 * those that it did not tell are asked for anew.
 */
export function changingNames(
  { coherence, inodes }: Core,
  directories: readonly Inode[],
): (told?: readonly Attributes[]) => void {
  const since = coherence.nextMoment();
  for (const directory of directories) {
    directory.namesChangedAt = since;
    directory.changesUnanswered++;
  }
  return (told) => {
    const end = coherence.nextMoment();
    for (const directory of directories) {
      directory.namesChangedAt = end;
      directory.changesUnanswered--;
      const attributes = told?.find(({ ino }) => ino === directory.ino);
      if (attributes === undefined) inodes.markStale(directory);
      else inodes.changed(attributes, since);
    }
  };
}
