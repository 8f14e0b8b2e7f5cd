/**
 * Whether what is in a folder after a crash is what running ahead may leave (DESIGN.md, section 7). Pure.
 *
 * - Names, modes, times and link counts are those after a prefix of the history's changes of names and attributes.
 * - The prefix holds all changes before the last fsync, of any file or directory, that returned.
 * - A file's content is one that it has had (see contents.ts for the unit), not older than its last fsync that returned,
 *   than a rename in the prefix that put it in another one's place, or than the close after it was cut to nothing and
 *   written anew; it is not newer than a change of names or attributes that is missing.
 * - A time that was set is there as long as content that was written later is not.
 */
import { contentsOf, type Contents, type Version } from "./contents.ts";
import type { Found, FoundEntry } from "./found.ts";
import { describe, isNamespaceChange, type Operation } from "./history.ts";
import { Namespace, rootMode, type FileNode, type Node } from "./namespace.ts";

export type Verdict =
  | {
      readonly type: "consistent";
      /** Changes of names and attributes that are there, and that were made. */
      readonly prefix: { readonly there: number; readonly made: number };
      /** Writes that are missing in files that are there. */
      readonly writesMissing: number;
    }
  | { readonly type: "broken"; readonly reason: string };

export interface CheckOptions {
  /** What the write of this number wrote, borrowed. */
  readonly fill: (index: number, length: number) => Buffer;
  /** Everything that was answered has to be there: the client lived on. */
  readonly complete: boolean;
}

export function check(all: readonly Operation[], found: Found, options: CheckOptions): Verdict {
  if (found.unreadable.length > 0) return broken(`cannot be read: ${found.unreadable.slice(0, 5).join("; ")}`);
  const impossible = impossibleResult(all);
  if (impossible !== undefined) return broken(impossible);
  const operations = withoutLastRefusal(all);
  const comparing = new Comparing(operations, found, options);
  const made = operations.filter(isEffective);
  let closest: { index: number; differences: readonly string[] } | undefined;
  const names = new Namespace();
  const first = options.complete ? operations.length - 1 : comparing.contents.barrier;
  for (let index = -1; index < operations.length; index++) {
    const operation = operations[index];
    const isChange = operation !== undefined && isEffective(operation);
    if (operation !== undefined) apply(names, operation);
    if (index < first || (index > first && !isChange)) continue;
    const { differences, writesMissing } = comparing.compare(names, index);
    if (differences.length === 0) {
      const there = made.filter((change) => change.index <= index).length;
      return { type: "consistent", prefix: { there, made: made.length }, writesMissing };
    }
    if (closest === undefined || differences.length <= closest.differences.length) closest = { index, differences };
  }
  return broken(explain(operations, comparing.contents.barrier, closest));
}

function broken(reason: string): Verdict {
  return { type: "broken", reason };
}

function isEffective({ action, result }: Operation): boolean {
  return isNamespaceChange(action) && result.type !== "refused";
}

function apply(names: Namespace, { index, action, result }: Operation): void {
  if (result.type === "refused") return;
  names.apply(index, action, result.type === "done" ? result.count : 0);
}

/** The first operation whose answer nothing explains. */
function impossibleResult(operations: readonly Operation[]): string | undefined {
  const names = new Namespace();
  for (const operation of operations) {
    const { action, result } = operation;
    const expected = names.refusal(action);
    const answered = result.type === "refused" ? result.errno : undefined;
    if (result.type !== "unknown" && answered !== expected) {
      return `answered wrongly: ${describe(operation)}, expected ${expected ?? "success"}`;
    }
    if (result.type !== "unknown") apply(names, operation);
  }
  return undefined;
}

/** Of the last one no answer may be known: if it had to be refused, nothing has come of it. */
function withoutLastRefusal(operations: readonly Operation[]): readonly Operation[] {
  const last = operations.at(-1);
  if (last?.result.type !== "unknown") return operations;
  const names = new Namespace();
  const before = operations.slice(0, -1);
  for (const operation of before) apply(names, operation);
  return names.refusal(last.action) === undefined ? operations : before;
}

class Comparing {
  readonly contents: Contents;
  readonly #found: ReadonlyMap<string, FoundEntry>;
  readonly #complete: boolean;

  constructor(operations: readonly Operation[], found: Found, { fill, complete }: CheckOptions) {
    this.contents = contentsOf(operations, fill);
    this.#found = new Map(found.entries.map((entry) => [entry.path, entry]));
    this.#complete = complete;
  }

  compare(names: Namespace, prefix: number): { differences: string[]; writesMissing: number } {
    const differences: string[] = [];
    const paths = new Set<string>();
    const inos = new Map<Node, number>();
    let writesMissing = 0;
    const visit = (path: string, node: Node): void => {
      paths.add(path);
      const entry = this.#found.get(path);
      if (entry === undefined) differences.push(`${path} is missing`);
      else {
        const ino = inos.get(node) ?? entry.ino;
        if (ino !== entry.ino) differences.push(`${path} is another inode than its other names`);
        inos.set(node, ino);
        for (const difference of attributeDifferences(node, entry)) differences.push(`${path} ${difference}`);
        if (node.type === "file" && entry.type === "file") {
          const { version, difference } = this.#compareContent(node, prefix, entry);
          if (difference !== undefined) differences.push(`${path}: ${difference}`);
          if (version !== undefined) writesMissing += this.contents.behind(node, version);
        }
      }
      if (node.type !== "directory") return;
      for (const [name, child] of node.entries) visit(path === "." ? name : `${path}/${name}`, child);
    };
    visit(".", names.root);
    for (const path of this.#found.keys()) if (!paths.has(path)) differences.push(`${path} should not be there`);
    return { differences, writesMissing };
  }

  #compareContent(
    file: FileNode,
    prefix: number,
    { digest = "", mtime }: FoundEntry,
  ): { version?: Version; difference?: string } {
    let versions = this.contents.allowed(file, prefix);
    if (this.#complete) versions = versions.slice(-1);
    const same = versions.filter((version) => version.digest === digest);
    if (same.length === 0) return { difference: this.contents.explain(file, prefix, digest) };
    const version = same.findLast(({ at }) => mayHaveTime(file, at, mtime));
    if (version !== undefined) return { version };
    return { difference: `mtime is ${mtime}, it was set to ${String(file.times?.seconds)} s` };
  }
}

function mayHaveTime({ times }: FileNode, writtenAt: number, mtime: string): boolean {
  return times === undefined || writtenAt > times.at || mtime === nanos(times.seconds);
}

function nanos(seconds: number): string {
  return String(BigInt(seconds) * 1_000_000_000n);
}

function attributeDifferences(node: Node, entry: FoundEntry): string[] {
  if (entry.type !== node.type) return [`is a ${entry.type}, not a ${node.type}`];
  const differences: string[] = [];
  const compare = (what: string, found: string | number | undefined, expected: string | number): void => {
    if (found !== expected) differences.push(`has ${what} ${String(found)}, not ${String(expected)}`);
  };
  switch (node.type) {
    case "symlink":
      compare("target", entry.target, node.target);
      compare("nlink", entry.nlink, node.names);
      break;
    case "file":
      compare("mode", entry.mode.toString(8), node.mode.toString(8));
      compare("nlink", entry.nlink, node.names);
      break;
    case "directory": {
      const children = [...node.entries.values()].filter(({ type }) => type === "directory").length;
      compare("mode", entry.mode.toString(8), (node.made < 0 ? rootMode : node.mode).toString(8));
      compare("nlink", entry.nlink, 2 + children);
      if (node.mtimeSeconds !== undefined) compare("mtime", entry.mtime, nanos(node.mtimeSeconds));
      break;
    }
  }
  return differences;
}

function explain(
  operations: readonly Operation[],
  barrier: number,
  closest: { index: number; differences: readonly string[] } | undefined,
): string {
  if (closest === undefined) return "nothing to compare with";
  const from = Math.max(closest.index - 5, 0);
  const around = operations.slice(from, closest.index + 8).map(describe);
  return [
    `like no prefix of ${String(operations.length)} operations (all up to ${String(barrier)} were fsynced);`,
    `nearest is the one that ends with ${String(closest.index)}:`,
    ...closest.differences.slice(0, 8).map((difference) => `  ${difference}`),
    "operations around it:",
    ...around.map((line) => `  ${line}`),
  ].join("\n");
}
