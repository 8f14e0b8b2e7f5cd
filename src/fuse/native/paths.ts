/**
 * From paths to inodes, by looking up name after name, each time anew. Every lookup that counted is given to `held`
 * when its use ends.
 *
 * Paths are text here: the package reads bytes as UTF-8 and puts U+FFFD where they are not. A path with U+FFFD is
 * refused: it may mean another name than it shows.
 */
import type { Attributes } from "../../base/attributes.ts";
import { FsError } from "../../base/errno.ts";
import { rootIno, type Ino } from "../../base/ids.ts";
import { nameFromText, type Name } from "../../base/name.ts";
import type { MaybePromise, Operations, RequestContext } from "../operations.ts";
import type { HeldInodes } from "./held-inodes.ts";

const replacement = "\uFFFD";

/** An inode with the attributes that its lookup brought (none for the root, which nobody looks up). */
export interface Located {
  readonly ino: Ino;
  readonly attributes: Attributes | undefined;
  /** The lookup's count stays: whoever says so gives it to `held` later. */
  keep(): void;
}

export interface Place {
  readonly parent: Ino;
  readonly name: Name;
}

export interface Paths {
  /** Runs `use` while the inode may be used. ENOENT when there is none. */
  at<T>(request: RequestContext, path: string, use: (located: Located) => MaybePromise<T>): Promise<T>;
  /** The same for a name that need not exist; EBUSY for the root, which is no name in a directory. */
  in<T>(request: RequestContext, path: string, use: (place: Place) => MaybePromise<T>): Promise<T>;
  /** Runs `remove`, which may take the name from its inode; then the inode is not held any longer. */
  removing(request: RequestContext, place: Place, remove: () => MaybePromise<void>): Promise<void>;
}

/** EILSEQ when the text does not say which bytes are meant. */
export function textBytes(text: string): Buffer {
  if (text.includes(replacement)) throw new FsError("EILSEQ", "bytes that are not UTF-8");
  return Buffer.from(text, "utf8");
}

export function createPaths(operations: Operations, held: HeldInodes): Paths {
  const walk = async <T>(
    request: RequestContext,
    names: readonly Name[],
    use: (last: Located) => MaybePromise<T>,
  ): Promise<T> => {
    const counted: Ino[] = [];
    try {
      let ino = rootIno;
      let attributes: Attributes | undefined;
      for (const name of names) {
        const found = operations.lookup(request, ino, name);
        const entry = found instanceof Promise ? await found : found;
        if ("absent" in entry) throw new FsError("ENOENT", `no such name in ${String(ino)}`);
        attributes = entry.attributes;
        ino = attributes.ino;
        counted.push(ino);
      }
      const keep = (): void => {
        counted.pop();
      };
      return await use({ ino, attributes, keep });
    } finally {
      for (const ino of counted) held.used(ino);
    }
  };

  return {
    at: async (request, path, use) => walk(request, namesOf(path), use),
    async in(request, path, use) {
      const names = namesOf(path);
      const name = names.pop();
      if (name === undefined) throw new FsError("EBUSY", "the root has no name");
      return walk(request, names, ({ ino }) => use({ parent: ino, name }));
    },
    async removing(request, { parent, name }, remove) {
      const entry = await operations.lookup(request, parent, name);
      if (!("absent" in entry)) held.used(entry.attributes.ino);
      await remove();
      if (!("absent" in entry)) held.drop(entry.attributes.ino);
    },
  };
}

function namesOf(path: string): Name[] {
  textBytes(path);
  return path
    .split("/")
    .filter((part) => part !== "")
    .map(nameFromText);
}
