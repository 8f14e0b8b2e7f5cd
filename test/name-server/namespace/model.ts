/**
 * A filesystem as simple as can be: a tree of maps and byte arrays, and what each operation of the namespace must do to
 * it or why it must be refused. Callers are root: permissions have tests of their own.
 */
import { fileType } from "../../../src/base/attributes.ts";
import type { ErrnoName } from "../../../src/base/errno.ts";
import type { Ino } from "../../../src/base/ids.ts";

export interface Node {
  ino: Ino;
  readonly type: number;
  nlink: number;
  readonly entries: Map<string, Node>;
  parent: Node | undefined;
  content: Uint8Array;
  /** Kept for this session although it has no name. */
  held: boolean;
  linkable: boolean;
}

export class Refusal extends Error {
  readonly errno: ErrnoName;
  constructor(errno: ErrnoName) {
    super(errno);
    this.errno = errno;
  }
}

function refuse(condition: boolean, errno: ErrnoName): void {
  if (condition) throw new Refusal(errno);
}

export class Model {
  readonly root: Node;
  /** Everything that has an inode. */
  readonly nodes = new Set<Node>();

  constructor(rootIno: Ino) {
    this.root = this.#node(rootIno, fileType.directory);
    this.root.parent = this.root;
    this.root.nlink = 2;
  }

  #node(ino: Ino, type: number): Node {
    const node = {
      ino,
      type,
      nlink: type === fileType.directory ? 2 : 1,
      entries: new Map<string, Node>(),
      parent: undefined,
      content: new Uint8Array(0),
      held: false,
      linkable: false,
    };
    this.nodes.add(node);
    return node;
  }

  /** Refuses, or returns what to do once the inode number is known. */
  make(parent: Node, name: string, type: number): (ino: Ino) => Node {
    refuse(parent.type !== fileType.directory, "ENOTDIR");
    refuse(parent.entries.has(name), "EEXIST");
    refuse(parent.nlink === 0, "ENOENT");
    return (ino) => {
      const node = this.#node(ino, type);
      this.#enter(parent, name, node);
      return node;
    };
  }

  tmpfile(parent: Node): (ino: Ino) => Node {
    refuse(parent.type !== fileType.directory, "ENOTDIR");
    refuse(parent.nlink === 0, "ENOENT");
    return (ino) => {
      const node = this.#node(ino, fileType.regular);
      Object.assign(node, { nlink: 0, held: true, linkable: true });
      return node;
    };
  }

  remove(parent: Node, name: string, asDirectory: boolean, keep: boolean): void {
    refuse(parent.type !== fileType.directory, "ENOTDIR");
    const node = parent.entries.get(name);
    if (node === undefined) throw new Refusal("ENOENT");
    const directory = node.type === fileType.directory;
    refuse(asDirectory && !directory, "ENOTDIR");
    refuse(!asDirectory && directory, "EISDIR");
    refuse(node.entries.size > 0, "ENOTEMPTY");
    this.#leave(parent, name, node);
    this.#lost(node, keep);
  }

  link(node: Node, parent: Node, name: string): void {
    refuse(parent.type === fileType.directory && parent.entries.has(name), "EEXIST");
    refuse(parent.type !== fileType.directory, "ENOTDIR");
    refuse(parent.nlink === 0, "ENOENT");
    refuse(node.type === fileType.directory, "EPERM");
    refuse(node.nlink === 0 && !node.linkable, "ENOENT");
    if (node.nlink === 0) node.held = false;
    node.linkable = false;
    node.nlink++;
    this.#enter(parent, name, node);
  }

  rename(from: Node, name: string, to: Node, newName: string, how: { flags: number; keep: boolean }): void {
    const { flags } = how;
    const exchange = flags === 2;
    refuse((flags & 2) !== 0 && flags !== 2, "EINVAL");
    refuse(from.type !== fileType.directory || to.type !== fileType.directory, "ENOTDIR");
    refuse(to.nlink === 0, "ENOENT");
    const source = from.entries.get(name);
    if (source === undefined) throw new Refusal("ENOENT");
    const target = to.entries.get(newName);
    refuse(target !== undefined && (flags & 1) !== 0, "EEXIST");
    refuse(target === undefined && exchange, "ENOENT");
    refuse(source.type === fileType.directory && from !== to && this.#within(to, source), "EINVAL");
    if (target?.type === fileType.directory) refuse(this.#within(from, target), exchange ? "EINVAL" : "ENOTEMPTY");
    if (target === source) return;
    if (exchange && target !== undefined) {
      this.#leave(from, name, source);
      this.#leave(to, newName, target);
      this.#enter(from, name, target);
      this.#enter(to, newName, source);
      return;
    }
    const directory = source.type === fileType.directory;
    refuse(target !== undefined && directory && target.type !== fileType.directory, "ENOTDIR");
    refuse(target !== undefined && !directory && target.type === fileType.directory, "EISDIR");
    refuse(target !== undefined && target.entries.size > 0, "ENOTEMPTY");
    this.#leave(from, name, source);
    if (target !== undefined) {
      this.#leave(to, newName, target);
      this.#lost(target, how.keep);
    }
    this.#enter(to, newName, source);
  }

  release(node: Node): void {
    node.held = false;
    if (node.nlink === 0) this.nodes.delete(node);
  }

  #within(node: Node, top: Node): boolean {
    for (let at = node; ; at = at.parent as Node) {
      if (at === top) return true;
      if (at === this.root) return false;
    }
  }

  #enter(parent: Node, name: string, node: Node): void {
    parent.entries.set(name, node);
    if (node.type !== fileType.directory) return;
    node.parent = parent;
    parent.nlink++;
  }

  #leave(parent: Node, name: string, node: Node): void {
    parent.entries.delete(name);
    if (node.type === fileType.directory) parent.nlink--;
  }

  #lost(node: Node, keep: boolean): void {
    node.nlink = node.type === fileType.directory ? 0 : node.nlink - 1;
    if (node.nlink > 0) return;
    if (keep) node.held = true;
    else this.nodes.delete(node);
  }
}

/** Writes into a file's content, which grows to `size` if it is shorter. */
export function putContent(node: Node, at: number, content: Buffer, size = at + content.length): void {
  if (size > node.content.length) {
    const grown = new Uint8Array(size);
    grown.set(node.content);
    node.content = grown;
  }
  if (content.length > 0) node.content.set(content, at);
}
