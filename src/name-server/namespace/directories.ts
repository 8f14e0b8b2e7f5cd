/** The directories whose names a request changes, as it leaves them: told in the answer, so that the client need not ask. */
import type { Attributes } from "../../base/attributes.ts";
import type { Ino } from "../../base/ids.ts";
import type { MetadataReader } from "../../metadata-store/types.ts";
import { attributesOf, readInode } from "./inodes.ts";

const changingNames: ReadonlySet<string> = new Set([
  "create",
  "mknod",
  "mkdir",
  "symlink",
  "link",
  "unlink",
  "rmdir",
  "rename",
]);

/** Undefined for methods that change no name. */
export function directoriesOf(reader: MetadataReader, method: string, request: object): Attributes[] | undefined {
  if (!changingNames.has(method)) return undefined;
  const { parent, newParent } = request as { readonly parent?: Ino; readonly newParent?: Ino };
  const shown: Attributes[] = [];
  if (parent !== undefined) shown.push(attributesOf(parent, readInode(reader, parent)));
  if (newParent !== undefined && newParent !== parent) {
    shown.push(attributesOf(newParent, readInode(reader, newParent)));
  }
  return shown;
}
