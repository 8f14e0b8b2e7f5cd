/** Changes that a test makes by paths, as any user, through one mount; and the whole tree below a path as it is seen there. */
import { fileType, isDirectory, isSymlink, type Attributes } from "../../src/base/attributes.ts";
import { errnoOf, FsError } from "../../src/base/errno.ts";
import { rootIno, type Handle, type Ino } from "../../src/base/ids.ts";
import type { Name } from "../../src/base/name.ts";
import type { AttributeChanges, DirectoryEntry, RequestContext } from "../../src/fuse/operations.ts";
import type { Client } from "./cluster.ts";
import { from, name } from "./mount.ts";

/** A process. */
export interface Who {
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
  readonly groups: readonly number[];
}

export type Step = { readonly who: Who } & (
  | { readonly kind: "create"; readonly path: string; readonly mode: number; readonly umask: number }
  | { readonly kind: "mkdir"; readonly path: string; readonly mode: number; readonly umask: number }
  | { readonly kind: "symlink"; readonly path: string; readonly target: string }
  | { readonly kind: "link"; readonly path: string; readonly to: string }
  | { readonly kind: "unlink"; readonly path: string }
  | { readonly kind: "rmdir"; readonly path: string }
  | { readonly kind: "rename"; readonly path: string; readonly to: string; readonly flags: number }
  | { readonly kind: "setattr"; readonly path: string; readonly changes: AttributeChanges }
  | { readonly kind: "write"; readonly path: string; readonly offset: number; readonly bytes: number }
  | { readonly kind: "hold"; readonly path: string }
  | { readonly kind: "close" }
  | { readonly kind: "setxattr"; readonly path: string; readonly xattr: string; readonly value: Buffer }
  | { readonly kind: "list"; readonly path: string }
  | { readonly kind: "sync" }
);

interface Held {
  readonly ino: Ino;
  readonly handle: Handle;
}

const noAccessTime = 0o1000000;
const writeOnly = 1;

export class Walker {
  readonly client: Client;
  /** Where all paths begin. */
  readonly base: string;
  readonly #held: Held[] = [];
  #unique = 100n;

  constructor(client: Client, base: string) {
    this.client = client;
    this.base = base;
  }

  /** What came of it, in a form that is the same on every filesystem on which the same happened before. */
  async run(step: Step): Promise<unknown> {
    try {
      const made = await this.#do(step);
      return made === undefined ? "done" : shape(made);
    } catch (error) {
      return errnoOf(error);
    }
  }

  async stat(path: string): Promise<Attributes> {
    const ino = await this.#walk(path);
    return (await this.client.operations.getattr(from(), ino, undefined)).attributes;
  }

  /** Everything below: by path, what stat shows. */
  async tree(path = ""): Promise<Map<string, Attributes>> {
    const found = new Map<string, Attributes>();
    const own = await this.stat(path);
    found.set(path, own);
    if (!isDirectory(own.mode)) return found;
    for (const entry of await this.#list(await this.#walk(path))) {
      for (const [below, attributes] of await this.tree(`${path}/${entry}`)) found.set(below, attributes);
    }
    return found;
  }

  /** The whole content of a file, as text that compares. */
  async content(path: string): Promise<string> {
    const { operations } = this.client;
    const ino = await this.#walk(path);
    const { handle } = await operations.open(from(), ino, noAccessTime, false);
    const { size } = (await operations.getattr(from(), ino, handle)).attributes;
    const result = await operations.read(from(), ino, handle, 0, size, false);
    const text = Buffer.concat(result.pieces).toString("latin1");
    result.release?.();
    await this.#end(ino, handle);
    return text;
  }

  async settle(): Promise<void> {
    const { operations } = this.client;
    const { handle } = await operations.opendir(from(), rootIno, noAccessTime);
    await operations.fsyncdir(from(), rootIno, handle, false);
    await operations.releasedir(from(), rootIno, handle);
  }

  async closeAll(): Promise<void> {
    while (this.#held.length > 0) await this.#close();
  }

  async #do(step: Step): Promise<Attributes | undefined> {
    const { operations } = this.client;
    const request = this.#request(step.who);
    switch (step.kind) {
      case "create": {
        const { parent, last } = await this.#parentOf(step.path);
        const { mode, umask } = step;
        const made = await operations.create(
          await this.#making(step.who, parent),
          parent,
          last,
          { mode, umask },
          writeOnly,
        );
        await this.#end(made.entry.attributes.ino, made.opened.handle);
        return made.entry.attributes;
      }
      case "mkdir": {
        const { parent, last } = await this.#parentOf(step.path);
        const { mode, umask } = step;
        const made = await operations.mkdir(await this.#making(step.who, parent), parent, last, { mode, umask });
        return made.attributes;
      }
      case "symlink": {
        const { parent, last } = await this.#parentOf(step.path);
        const target = Buffer.from(step.target);
        return (await operations.symlink(await this.#making(step.who, parent), parent, last, target)).attributes;
      }
      case "link": {
        const ino = await this.#walk(step.path);
        const { parent, last } = await this.#parentOf(step.to);
        return (await operations.link(request, ino, parent, last)).attributes;
      }
      case "unlink":
      case "rmdir": {
        const { parent, last } = await this.#parentOf(step.path);
        await operations[step.kind](request, parent, last);
        return undefined;
      }
      case "rename": {
        const source = await this.#parentOf(step.path);
        const target = await this.#parentOf(step.to);
        // The kernel does not ask for a move into itself.
        if (`${step.to}/`.startsWith(`${step.path}/`)) throw new FsError("EINVAL", step.to);
        await operations.rename(request, source.parent, source.last, target.parent, target.last, step.flags);
        return undefined;
      }
      case "setattr": {
        const ino = await this.#walk(step.path);
        const { mode, ...others } = step.changes;
        const { attributes } = await operations.getattr(request, ino, undefined);
        // The kernel's mode has the type, and it refuses to truncate what is no file.
        if (step.changes.size !== undefined && (attributes.mode & fileType.mask) !== fileType.regular) {
          throw new FsError("EINVAL", step.path);
        }
        const typed = mode === undefined ? others : { ...others, mode: (attributes.mode & fileType.mask) | mode };
        return (await operations.setattr(request, ino, undefined, typed)).attributes;
      }
      case "write": {
        const ino = await this.#walk(step.path);
        const { handle } = await operations.open(request, await this.#file(ino), writeOnly, false);
        const content = Buffer.alloc(step.bytes, step.path);
        const how = { flags: writeOnly, fromPageCache: false, killPrivileges: step.who.uid !== 0 };
        await operations.write(request, ino, handle, step.offset, content, how);
        const { attributes } = await operations.getattr(request, ino, handle);
        await this.#end(ino, handle);
        return attributes;
      }
      case "hold": {
        const ino = await this.#file(await this.#walk(step.path));
        const { handle } = await operations.open(request, ino, 0, false);
        this.#held.push({ ino, handle });
        return undefined;
      }
      case "close":
        await this.#close();
        return undefined;
      case "setxattr": {
        const ino = await this.#walk(step.path);
        await operations.setxattr(request, ino, name(step.xattr), step.value, 0, false);
        return undefined;
      }
      case "list":
        await this.#list(await this.#walk(step.path));
        return undefined;
      case "sync":
        await this.settle();
        return undefined;
    }
  }

  #request({ uid, gid, pid }: Who): RequestContext {
    return from({ uid, gid, pid, unique: this.#unique++ });
  }

  /** The kernel tells whether the directory's group is one of the caller's. */
  async #making(who: Who, parent: Ino): Promise<RequestContext> {
    const request = this.#request(who);
    const { gid } = (await this.client.operations.getattr(request, parent, undefined)).attributes;
    return who.groups.includes(gid) ? { ...request, parentGroup: gid } : request;
  }

  async #file(ino: Ino): Promise<Ino> {
    const { attributes } = await this.client.operations.getattr(from(), ino, undefined);
    if ((attributes.mode & fileType.mask) !== fileType.regular) throw new FsError("EISDIR", "not a file");
    return ino;
  }

  async #close(): Promise<void> {
    const held = this.#held.shift();
    if (held !== undefined) await this.#end(held.ino, held.handle);
  }

  async #end(ino: Ino, handle: Handle): Promise<void> {
    await this.client.operations.flush(from(), ino, handle, 1n);
    await this.client.operations.release(from(), ino, handle, undefined);
  }

  async #list(ino: Ino): Promise<string[]> {
    const { operations } = this.client;
    const { handle } = await operations.opendir(from(), ino, noAccessTime);
    const names: string[] = [];
    for (let cookie = 0; ;) {
      const page: DirectoryEntry[] = [];
      await operations.readdir(from(), ino, handle, cookie, true, (entry) => page.push(entry) < 50);
      const last = page.at(-1);
      if (last === undefined || last.cookie === cookie) break;
      names.push(...page.map((entry) => entry.name));
      cookie = last.cookie;
    }
    await operations.releasedir(from(), ino, handle);
    return names.filter((one) => one !== "." && one !== "..").sort();
  }

  async #walk(path: string): Promise<Ino> {
    let at: Ino = rootIno;
    for (const part of `${this.base}${path}`.split("/").filter((one) => one !== "")) {
      const found = await this.client.operations.lookup(from(), at, name(part));
      if ("absent" in found) throw new FsError("ENOENT", path);
      at = found.attributes.ino;
    }
    return at;
  }

  async #parentOf(path: string): Promise<{ parent: Ino; last: Name }> {
    const at = path.lastIndexOf("/");
    const parent = await this.#walk(path.slice(0, at));
    const { attributes } = await this.client.operations.getattr(from(), parent, undefined);
    if (!isDirectory(attributes.mode)) throw new FsError("ENOTDIR", path);
    return { parent, last: name(path.slice(at + 1)) };
  }
}

/** What does not depend on numbers and clocks. Sizes of directories come later; times only as far as they were set. */
export function shape(attributes: Attributes): unknown {
  const { mode, nlink, uid, gid, rdev, size, hasXattrs, atime, mtime, ctime, btime } = attributes;
  const set = (time: bigint): bigint | "recent" => (time < 10n ** 15n ? time : "recent");
  return {
    ...{ mode: mode.toString(8), nlink, uid, gid, rdev, hasXattrs },
    size: isDirectory(mode) ? 0 : isSymlink(mode) ? `link ${String(size)}` : size,
    ...{ atime: set(atime), mtime: set(mtime) },
    order: [mtime <= ctime || mtime < 10n ** 15n, btime <= ctime],
  };
}
