/**
 * A folder as it is when every operation was done: names, attributes, open handles. It knows nothing of content, only
 * how long files are. Applying an operation that `refusal` objects to is an error of whoever does it.
 */
import type { Action } from "./history.ts";

export interface FileNode {
  readonly type: "file";
  /** The number of the operation that made it. */
  readonly made: number;
  mode: number;
  names: number;
  size: number;
  /** The last explicit setting of its times. */
  times: { readonly at: number; readonly seconds: number } | undefined;
}

export interface SymlinkNode {
  readonly type: "symlink";
  readonly made: number;
  readonly target: string;
  names: number;
}

export interface DirectoryNode {
  readonly type: "directory";
  readonly made: number;
  mode: number;
  readonly entries: Map<string, Node>;
  /** Undefined: set by the clock. */
  mtimeSeconds: number | undefined;
}

export type Node = FileNode | SymlinkNode | DirectoryNode;

export interface Handle {
  readonly file: FileNode;
  readonly append: boolean;
}

export const rootMode = 0o755;

export class Namespace {
  readonly root: DirectoryNode = directory(-1, rootMode);
  readonly handles = new Map<number, Handle>();

  at(path: string): Node | undefined {
    let node: Node | undefined = this.root;
    for (const name of path === "." ? [] : path.split("/")) {
      node = node?.type === "directory" ? node.entries.get(name) : undefined;
    }
    return node;
  }

  /** The errno that this action has to fail with. */
  refusal(action: Action): string | undefined {
    switch (action.type) {
      case "create":
      case "mkdir":
      case "symlink":
        return this.#refusesNew(action.path);
      case "link":
        if (this.at(action.from) === undefined) return "ENOENT";
        return this.#refusesNew(action.to);
      case "unlink":
      case "open":
      case "chmod":
      case "utimes":
      case "fsyncdir":
        return this.at(action.path) === undefined ? "ENOENT" : undefined;
      case "rmdir": {
        const node = this.at(action.path);
        if (node === undefined) return "ENOENT";
        if (node.type !== "directory") return "ENOTDIR";
        return node.entries.size > 0 ? "ENOTEMPTY" : undefined;
      }
      case "rename":
        return this.#refusesRename(action.from, action.to);
      case "close":
      case "write":
      case "truncate":
      case "fsync":
        return this.handles.has(action.handle) ? undefined : "EBADF";
    }
  }

  /** `count`: bytes that a write wrote. */
  apply(index: number, action: Action, count: number): void {
    switch (action.type) {
      case "create": {
        const { path, mode, handle } = action;
        const file: FileNode = { type: "file", made: index, mode, names: 0, size: 0, times: undefined };
        this.#enter(path, file);
        this.handles.set(handle, { file, append: false });
        return;
      }
      case "open": {
        const file = this.#file(action.path);
        if (action.cut) file.size = 0;
        this.handles.set(action.handle, { file, append: action.append });
        return;
      }
      case "close":
        this.handles.delete(action.handle);
        return;
      case "write": {
        const { file } = this.handle(action.handle);
        file.size = Math.max(file.size, (action.offset ?? file.size) + count);
        return;
      }
      case "truncate":
        this.handle(action.handle).file.size = action.size;
        return;
      case "fsync":
      case "fsyncdir":
        return;
      case "mkdir":
        this.#enter(action.path, directory(index, action.mode));
        return;
      case "symlink":
        this.#enter(action.path, { type: "symlink", made: index, target: action.target, names: 0 });
        return;
      case "link":
        this.#enter(action.to, this.#known(action.from));
        return;
      case "unlink":
      case "rmdir":
        this.#remove(action.path);
        return;
      case "rename":
        this.#rename(action.from, action.to);
        return;
      case "chmod": {
        const node = this.#known(action.path);
        if (node.type !== "symlink") node.mode = action.mode;
        return;
      }
      case "utimes": {
        const node = this.#known(action.path);
        if (node.type === "directory") node.mtimeSeconds = action.seconds;
        else if (node.type === "file") node.times = { at: index, seconds: action.seconds };
        return;
      }
    }
  }

  handle(handle: number): Handle {
    const open = this.handles.get(handle);
    if (open === undefined) throw new Error(`handle ${String(handle)} is not open`);
    return open;
  }

  /** The directory of a path, and the name in it. */
  #split(path: string): { parent: DirectoryNode; name: string } | undefined {
    const slash = path.lastIndexOf("/");
    const parent = this.at(slash < 0 ? "." : path.slice(0, slash));
    return parent?.type === "directory" ? { parent, name: path.slice(slash + 1) } : undefined;
  }

  #refusesNew(path: string): string | undefined {
    const place = this.#split(path);
    if (place === undefined) return "ENOENT";
    return place.parent.entries.has(place.name) ? "EEXIST" : undefined;
  }

  #refusesRename(from: string, to: string): string | undefined {
    const source = this.at(from);
    if (source === undefined || this.#split(to) === undefined) return "ENOENT";
    if (`${to}/`.startsWith(`${from}/`) && to !== from) return "EINVAL";
    const target = this.at(to);
    if (target === undefined || target === source) return undefined;
    if (target.type === "directory") {
      if (source.type !== "directory") return "EISDIR";
      return target.entries.size > 0 ? "ENOTEMPTY" : undefined;
    }
    return source.type === "directory" ? "ENOTDIR" : undefined;
  }

  #known(path: string): Node {
    const node = this.at(path);
    if (node === undefined) throw new Error(`${path} does not exist`);
    return node;
  }

  #file(path: string): FileNode {
    const node = this.#known(path);
    if (node.type !== "file") throw new Error(`${path} is no file`);
    return node;
  }

  #place(path: string): { parent: DirectoryNode; name: string } {
    const place = this.#split(path);
    if (place === undefined) throw new Error(`${path} has no directory`);
    place.parent.mtimeSeconds = undefined;
    return place;
  }

  #enter(path: string, node: Node): void {
    const { parent, name } = this.#place(path);
    parent.entries.set(name, node);
    if (node.type !== "directory") node.names++;
  }

  #remove(path: string): Node {
    const { parent, name } = this.#place(path);
    const node = this.#known(path);
    parent.entries.delete(name);
    if (node.type !== "directory") node.names--;
    return node;
  }

  #rename(from: string, to: string): void {
    const source = this.#known(from);
    const target = this.at(to);
    // Between two names of one inode nothing happens.
    if (target === source) return;
    const isMoved = this.#split(from)?.parent !== this.#split(to)?.parent;
    this.#remove(from);
    if (target !== undefined) this.#remove(to);
    this.#enter(to, source);
    if (source.type === "directory" && isMoved) source.mtimeSeconds = undefined;
  }
}

function directory(made: number, mode: number): DirectoryNode {
  return { type: "directory", made, mode, entries: new Map(), mtimeSeconds: undefined };
}
