/** A directory with files of two users, an empty folder and a full one; the changes of it that run ahead. */
import { fileType } from "../../src/base/attributes.ts";
import type { Ino } from "../../src/base/ids.ts";
import { aheadMount, file, folder, type AheadMount, type Change } from "./ahead-mount.ts";
import { from, name } from "./mount.ts";

export const user = from({ uid: 1000, gid: 1000 });
export const modes = { mode: 0o644, umask: 0 };

export interface World extends AheadMount {
  /** A file of user 1000, an empty folder, and a folder with a file `in`. */
  readonly mine: Ino;
  readonly empty: Ino;
  readonly full: Ino;
}

export async function world(options: Parameters<typeof aheadMount>[0] = { mode: 0o777 }): Promise<World> {
  const mount = await aheadMount(options);
  const mine = await file(mount, "mine", { request: user });
  await file(mount, "file");
  const empty = await folder(mount, "empty");
  const full = await folder(mount, "full");
  await mount.operations.create(from(), full, name("in"), modes, 1);
  await mount.log.flush();
  mount.server.takeMethods();
  return { ...mount, mine, empty, full };
}

export const create: (where: World, request?: typeof user) => Change =
  ({ work }, request = from()) =>
  (o) =>
    o.create(request, work, name("new"), modes, 1);
export const rename =
  ({ work }: World, one: string, other: string, flags = 0): Change =>
  (o) =>
    o.rename(from(), work, name(one), work, name(other), flags);

/** Every change that runs ahead in a fresh world. */
export function allChanges(where: World): Record<string, Change> {
  const { work, mine } = where;
  return {
    create: create(where),
    mkdir: (o) => o.mkdir(from(), work, name("newer"), modes),
    symlink: (o) => o.symlink(from(), work, name("newest"), Buffer.from("x")),
    rename: rename(where, "file", "elif"),
    unlink: (o) => o.unlink(from(), work, name("mine")),
    rmdir: (o) => o.rmdir(from(), work, name("empty")),
    setattr: (o) => o.setattr(from(), mine, undefined, { mode: fileType.regular | 0o600 }),
  };
}
