/**
 * A folder that one process has to itself: what it must hold, after each operation. After a crash of its machine the names
 * are those after some operation, and each byte of a file is one that the file had, in both cases no older than what was
 * synced (SEMANTICS.md, "Running ahead").
 */

/** Of a file, under all of its names. */
export interface ModelFile {
  readonly id: number;
  /** Its content after each operation that changed it. */
  readonly versions: Buffer[];
  /** The version that is known to be durable. */
  synced: number;
}

export type Node =
  | { readonly kind: "folder" }
  | { readonly kind: "symlink"; readonly target: string }
  | { readonly kind: "file"; readonly file: ModelFile };

/** A whole tree by path ("" is the folder itself), as somebody sees it. */
export type Seen = ReadonlyMap<string, SeenNode>;
export type SeenNode =
  | { readonly kind: "folder" }
  | { readonly kind: "symlink"; readonly target: string }
  | { readonly kind: "file"; readonly ino: number; readonly links: number; readonly content: Buffer };

export class OwnModel {
  readonly nodes = new Map<string, Node>();
  /** The names after each operation, the first being none at all. */
  readonly #states: ReadonlyMap<string, Node>[] = [new Map()];
  /** The state that is known to be durable. */
  #synced = 0;
  #files = 0;

  /** Everything that was done up to now is another state. */
  changed(): void {
    this.#states.push(new Map(this.nodes));
  }

  newFile(): ModelFile {
    return { id: this.#files++, versions: [Buffer.alloc(0)], synced: 0 };
  }

  /** The file of this name; throws when there is none. */
  file(path: string): ModelFile {
    const node = this.nodes.get(path);
    if (node?.kind !== "file") throw new Error(`${path} is no file in the model`);
    return node.file;
  }

  /** What is there now; to be given to `isSynced` when the sync that begins now has ended. */
  moment(): { state: number; versions: readonly (readonly [ModelFile, number])[] } {
    const files = new Set<ModelFile>();
    for (const node of this.nodes.values()) if (node.kind === "file") files.add(node.file);
    return { state: this.#states.length - 1, versions: [...files].map((file) => [file, file.versions.length - 1]) };
  }

  /** @param only of which file also the content is durable; default all of them */
  isSynced({ state, versions }: ReturnType<OwnModel["moment"]>, only?: ModelFile): void {
    this.#synced = state;
    for (const [file, version] of versions) if (only === undefined || only === file) file.synced = version;
  }

  links(file: ModelFile): number {
    return [...this.nodes.values()].filter((node) => node.kind === "file" && node.file === file).length;
  }

  /** What is wrong with what is seen; undefined: nothing. */
  problem(seen: Seen, mayHaveLost: boolean): string | undefined {
    if (!mayHaveLost) return differenceOf(this.nodes, seen, isNewest);
    const problems: string[] = [];
    for (let state = this.#states.length - 1; state >= this.#synced; state--) {
      const problem = differenceOf(this.#states[state] ?? new Map<string, Node>(), seen, isMixture);
      if (problem === undefined) return undefined;
      problems.push(`after operation ${String(state)}: ${problem}`);
    }
    return `none of the states since the last sync: ${problems.join("; ")}`;
  }
}

type Fits = (file: ModelFile, content: Buffer) => boolean;

function differenceOf(nodes: ReadonlyMap<string, Node>, seen: Seen, fits: Fits): string | undefined {
  for (const path of seen.keys()) if (!nodes.has(path)) return `${path} should not be there`;
  const inos = new Map<ModelFile, number>();
  const links = new Map<ModelFile, number>();
  for (const node of nodes.values()) {
    if (node.kind === "file") links.set(node.file, (links.get(node.file) ?? 0) + 1);
  }
  for (const [path, node] of nodes) {
    const found = seen.get(path);
    if (found === undefined) return `${path} is missing`;
    if (found.kind !== node.kind) return `${path} is a ${found.kind}`;
    if (node.kind === "symlink" && found.kind === "symlink" && found.target !== node.target)
      return `${path} points elsewhere`;
    if (node.kind !== "file" || found.kind !== "file") continue;
    if (found.ino !== (inos.get(node.file) ?? found.ino)) return `${path} is another file than its other name`;
    inos.set(node.file, found.ino);
    if (found.links !== links.get(node.file)) return `${path} has ${String(found.links)} links`;
    if (!fits(node.file, found.content)) {
      const wanted = node.file.versions.slice(node.file.synced).map(describe).join(" or ");
      return `${path} has other content: ${describe(found.content)} instead of ${wanted}`;
    }
  }
  return undefined;
}

function isNewest(file: ModelFile, content: Buffer): boolean {
  return file.versions.at(-1)?.equals(content) === true;
}

/** Each byte, and the size, is of some version that may be there. */
function isMixture(file: ModelFile, content: Buffer): boolean {
  const possible = file.versions.slice(file.synced);
  if (possible.some((version) => version.equals(content))) return true;
  const sizes = possible.map(({ length }) => length);
  if (content.length < Math.min(...sizes) || content.length > Math.max(...sizes)) return false;
  // Where a version has no byte, there is none or a zero.
  return content.every((byte, at) => possible.some((version) => (version[at] ?? 0) === byte));
}

/** The stretches of equal bytes. */
function describe(content: Buffer): string {
  const runs: string[] = [];
  for (let at = 0; at < content.length && runs.length < 12;) {
    let end = at;
    while (end < content.length && content[end] === content[at]) end++;
    runs.push(`${String(end - at)}x${String(content[at])}`);
    at = end;
  }
  return `[${runs.join(" ")}]`;
}
