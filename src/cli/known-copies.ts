/**
 * What a name server knows of its journal's copies, in the file `copies.json` of its folder: whom to ask when the rest of
 * the folder turns out to be damaged. It also tells the folder's id a second time.
 */
import type { Disk } from "../base/disk.ts";
import { errnoOf } from "../base/errno.ts";
import type { Log } from "../base/log.ts";
import { readCheckedJson, writeCheckedJson } from "../journal/checked-json.ts";
import { journalRegister, type JournalRegister } from "../protocol/journal-methods.ts";

const path = "copies.json";

/** Undefined: none was ever in effect, or the file is damaged. */
export async function readKnownCopies(disk: Disk): Promise<JournalRegister | undefined> {
  try {
    return journalRegister.optional().parse(await readCheckedJson(disk, path));
  } catch (error) {
    if (errnoOf(error) === "EOPNOTSUPP") throw error;
    return undefined;
  }
}

/** Told of each register in effect. One write at a time; of those that come meanwhile the newest. Never throws. */
export function knownCopiesWriter(disk: Disk, log: Log): (register: JournalRegister) => void {
  let next: JournalRegister | undefined;
  let isWriting = false;
  const write = async (): Promise<void> => {
    isWriting = true;
    while (next !== undefined) {
      const register = next;
      next = undefined;
      await writeCheckedJson(disk, path, register).catch((error: unknown) => {
        log.warn({ err: error }, "which nodes have copies of the journal could not be noted");
      });
    }
    isWriting = false;
  };
  return (register) => {
    next = register;
    if (!isWriting) void write();
  };
}
