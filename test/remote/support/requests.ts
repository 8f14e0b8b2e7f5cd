/** Requests that tests send, and errors that they expect. */
import { FsError } from "../../../src/base/errno.ts";
import { toIno } from "../../../src/base/ids.ts";
import { nameFromText } from "../../../src/base/name.ts";
import type { NameServer } from "../../../src/remote/types.ts";

export const ino = toIno(5);
export const root = { uid: 0, gid: 0 };

export function mkdir(client: NameServer, name: string, signal?: AbortSignal): Promise<unknown> {
  const request = { caller: root, parent: ino, name: nameFromText(name), umask: 0, mode: 0o755 };
  return client.change("mkdir", request, signal === undefined ? undefined : { signal });
}

export function errnoIs(errno: string): { instanceOf: typeof FsError; message: RegExp } {
  return { instanceOf: FsError, message: new RegExp(`^${errno}`) };
}
