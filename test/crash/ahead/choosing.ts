/**
 * Chooses what to do next, from a seed: what programs do that unpack, build, edit and tidy up, in a folder small enough
 * that names are used again and again. All of it follows from the seed and from the answers.
 */
import type { Random } from "../../../src/base/random.ts";
import { writeBytesMax } from "./filling.ts";
import type { Action } from "./history.ts";
import { Namespace, type DirectoryNode, type FileNode, type Node } from "./namespace.ts";

interface Place {
  readonly path: string;
  readonly node: Node;
}

const names = ["a", "b", "c", "d", "e", "f"];
const entriesMax = 50;
const handlesMax = 6;
const depthMax = 4;
const fileBytesMax = 600 << 10;
const firstSecond = 1_000_000_000;

type Make = () => Action | undefined;

export class Choosing {
  readonly names = new Namespace();
  readonly #random: Random;
  /** Each with how often, relative to the others. */
  readonly #kinds: readonly (readonly [number, Make])[];
  #planned: Action[] = [];
  #handle = 0;
  #fresh = 0;
  #index = 0;

  constructor(random: Random) {
    this.#random = random;
    // Whoever syncs or asks for what cannot run ahead never gets far ahead: in some runs rarely, in some never.
    const syncs = this.#any([0, 0, 0.3, 2]);
    const asks = this.#any([0, 0.3, 2]);
    this.#kinds = [
      [12, () => this.#create()],
      [22, () => this.#write()],
      [4, () => this.#open()],
      [7, () => this.#close()],
      [5, () => this.#mkdir()],
      [3, () => ({ type: "symlink", path: this.#newPath(), target: `to ${String(this.#index)}` })],
      [6, () => this.#remove()],
      [6, () => this.#rename()],
      [5, () => this.#chmod()],
      [5, () => this.#utimes()],
      [4, () => this.#unpack()],
      [4, () => this.#replace()],
      [2, () => this.#objection()],
      [asks, () => this.#link()],
      [asks, () => this.#truncate()],
      [syncs, () => this.#fsync()],
      [syncs / 2, () => ({ type: "fsyncdir", path: this.#any(this.#directories()).path })],
    ];
  }

  next(): Action {
    for (;;) {
      const planned = this.#planned.shift();
      const action = planned ?? this.#make();
      if (action !== undefined) return action;
    }
  }

  /** What `next` gave has been done. */
  done(action: Action, count: number): void {
    this.names.apply(this.#index, action, count);
  }

  /** After each, whatever came of it. */
  advance(): void {
    this.#index++;
  }

  #make(): Action | undefined {
    if (this.#places().length > entriesMax) return this.#remove();
    const all = this.#kinds.reduce((sum, [weight]) => sum + weight, 0);
    let point = (this.#random.below(1_000_000) / 1_000_000) * all;
    for (const [weight, make] of this.#kinds) {
      point -= weight;
      if (point < 0) return make();
    }
    return undefined;
  }

  #any<T>(from: readonly T[]): T {
    return from[this.#random.below(from.length)] as T;
  }
  #chance(oneIn: number): boolean {
    return this.#random.below(oneIn) === 0;
  }

  #places(): Place[] {
    const places: Place[] = [];
    const visit = (prefix: string, directory: DirectoryNode): void => {
      for (const [name, node] of directory.entries) {
        places.push({ path: prefix + name, node });
        if (node.type === "directory") visit(`${prefix}${name}/`, node);
      }
    };
    visit("", this.names.root);
    return places;
  }
  #directories(): Place[] {
    return [{ path: ".", node: this.names.root }, ...this.#places().filter(({ node }) => node.type === "directory")];
  }
  #filePaths(): string[] {
    return this.#places().flatMap(({ path, node }) => (node.type === "file" ? [path] : []));
  }

  /** A name that is free, in any directory that is not too deep. */
  #newPath(inside?: string): string {
    const folders = this.#directories().filter(({ path }) => path.split("/").length < depthMax);
    const folder = inside ?? this.#any(folders).path;
    const prefix = folder === "." ? "" : `${folder}/`;
    const free = names.filter((name) => this.names.at(prefix + name) === undefined);
    return prefix + (free.length > 0 ? this.#any(free) : `new-${String(this.#fresh++)}`);
  }

  #create(path = this.#newPath()): Action | undefined {
    if (this.names.handles.size >= handlesMax) return this.#close();
    const handle = this.#handle++;
    // Mostly as `tar` and `cp` do: made, written, closed.
    if (!this.#chance(4)) this.#planned.push(...this.#fillAndClose(handle));
    return { type: "create", path, mode: 0o600 + this.#random.below(64), handle };
  }

  #fillAndClose(handle: number): Action[] {
    const planned: Action[] = [];
    let offset = 0;
    for (let writes = this.#random.below(3); writes > 0; writes--) {
      const length = this.#length();
      planned.push({ type: "write", handle, offset, length });
      offset += length;
    }
    return [...planned, { type: "close", handle }];
  }

  #length(): number {
    const kind = this.#random.below(100);
    const most = kind < 60 ? 4096 : kind < 84 ? 16_384 : kind < 97 ? 70_000 : writeBytesMax;
    return 1 + this.#random.below(most);
  }

  #write(): Action | undefined {
    if (this.names.handles.size === 0) return undefined;
    const [handle, open] = this.#any([...this.names.handles]);
    if (open.append) return { type: "write", handle, offset: null, length: this.#length() };
    const { size } = open.file;
    const kind = this.#random.below(10);
    // Behind the end, over what is there, or beyond the end with a hole.
    const wanted = kind < 5 ? size : kind < 9 ? this.#random.below(size + 1) : size + this.#random.below(40_000);
    return { type: "write", handle, offset: wanted < fileBytesMax ? wanted : 0, length: this.#length() };
  }

  #open(): Action | undefined {
    const paths = this.#filePaths();
    if (paths.length === 0 || this.names.handles.size >= handlesMax) return undefined;
    const handle = this.#handle++;
    const append = this.#chance(4);
    const cut = !append && this.#chance(3);
    if (cut) this.#planned.push(...this.#fillAndClose(handle));
    return { type: "open", path: this.#any(paths), handle, cut, append };
  }

  #close(): Action | undefined {
    const handles = [...this.names.handles.keys()];
    return handles.length === 0 ? undefined : { type: "close", handle: this.#any(handles) };
  }

  #mkdir(): Action {
    return { type: "mkdir", path: this.#newPath(), mode: 0o700 + this.#random.below(64) };
  }

  #remove(): Action | undefined {
    const places = this.#places().filter(({ node }) => node.type !== "directory" || node.entries.size === 0);
    if (places.length === 0) return undefined;
    const { path, node } = this.#any(places);
    return { type: node.type === "directory" ? "rmdir" : "unlink", path };
  }

  #rename(): Action | undefined {
    const places = this.#places();
    if (places.length === 0) return undefined;
    const from = this.#any(places).path;
    // Mostly within its directory: a directory that changes its parent cannot run ahead.
    const slash = from.lastIndexOf("/");
    const to = this.#chance(3)
      ? this.#any(places).path
      : this.#newPath(this.#chance(3) ? undefined : slash < 0 ? "." : from.slice(0, slash));
    const action: Action = { type: "rename", from, to };
    const isInside = to.startsWith(`${from}/`) || from.startsWith(`${to}/`);
    return isInside || this.names.refusal(action) !== undefined ? undefined : action;
  }

  #link(): Action | undefined {
    const paths = this.#filePaths();
    return paths.length === 0 ? undefined : { type: "link", from: this.#any(paths), to: this.#newPath() };
  }

  #chmod(): Action | undefined {
    const places = this.#places().filter(({ node }) => node.type !== "symlink");
    if (places.length === 0) return undefined;
    return { type: "chmod", path: this.#any(places).path, mode: 0o400 + this.#random.below(256) };
  }

  #utimes(): Action | undefined {
    const places = this.#places().filter(({ node }) => node.type !== "symlink");
    if (places.length === 0) return undefined;
    return { type: "utimes", path: this.#any(places).path, seconds: firstSecond + this.#index };
  }

  /** As `tar x` does: a directory, files with content, mode and times. */
  #unpack(): Action {
    const path = this.#newPath();
    const planned: Action[] = [];
    for (const name of names.slice(0, 1 + this.#random.below(names.length))) {
      const file = `${path}/${name}`;
      const handle = this.#handle++;
      planned.push({ type: "create", path: file, mode: 0o600, handle }, ...this.#fillAndClose(handle));
      planned.push({ type: "chmod", path: file, mode: 0o644 });
      planned.push({ type: "utimes", path: file, seconds: firstSecond + this.#index });
    }
    planned.push({ type: "utimes", path, seconds: firstSecond + this.#index });
    this.#planned.push(...planned);
    return { type: "mkdir", path, mode: 0o755 };
  }

  /** As editors do: a temporary file, written and renamed over the old one, with or without fsync. */
  #replace(): Action | undefined {
    const paths = this.#filePaths();
    if (paths.length === 0) return undefined;
    const to = this.#any(paths);
    const from = `${to}.tmp`;
    if (this.names.at(from) !== undefined) return undefined;
    const handle = this.#handle++;
    const filled = this.#fillAndClose(handle);
    this.#planned.push(...filled, { type: "rename", from, to });
    return { type: "create", path: from, mode: 0o644, handle };
  }

  /** Something that has to be refused. */
  #objection(): Action | undefined {
    const places = this.#places();
    if (places.length === 0) return undefined;
    const { path, node } = this.#any(places);
    if (this.#chance(2)) return { type: "mkdir", path, mode: 0o755 };
    if (node.type === "directory" && node.entries.size > 0) return { type: "rmdir", path };
    return { type: "unlink", path: `${path}.absent` };
  }

  #truncate(): Action | undefined {
    const open = [...this.names.handles].map(([handle, { file }]) => ({ handle, file }));
    if (open.length === 0) return undefined;
    const { handle, file }: { handle: number; file: FileNode } = this.#any(open);
    return { type: "truncate", handle, size: this.#chance(3) ? 0 : this.#random.below(file.size + 5_000) };
  }

  #fsync(): Action | undefined {
    const handles = [...this.names.handles.keys()];
    return handles.length === 0 ? undefined : { type: "fsync", handle: this.#any(handles) };
  }
}
