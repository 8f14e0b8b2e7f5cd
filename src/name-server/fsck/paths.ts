/**
 * Which paths findings are about. Nothing in the store leads from a block to its files, nor from an inode to its names,
 * so all findings of a round are looked up together: one pass over the extents, and one over the entries for the names
 * themselves and one more for each further level that is not known yet.
 */
import { isDirectory } from "../../base/attributes.ts";
import { rootIno, type Ino } from "../../base/ids.ts";
import { nameToBytes, type Name } from "../../base/name.ts";
import { entryOfKey, inoOfKey, keys } from "../../metadata-store/keys.ts";
import { decodeEntry, decodeExtent } from "../../metadata-store/records.ts";
import type { Key } from "../../metadata-store/types.ts";
import { decoded, inodeOf, ownsContent } from "./records.ts";
import type { Check, Place, Subject } from "./types.ts";
import { each } from "./walk.ts";

export interface Paths {
  /** The names of the inode that a finding is about (of one with an `entry`: that one). */
  names(about: Subject): readonly Place[];
  /** For people; an inode without a name is called by its number. */
  texts(about: Subject): readonly string[];
  /** Whether something that the finding is about is `top` or below it. */
  isBelow(about: Subject, top: Ino): boolean;
}

/** Files of one block, and names of one inode, that are told. */
const toldMax = 16;
/** Directories above each other; deeper ones are below themselves. */
const depthMax = 4_096;

type Reading = Pick<Check, "state" | "pause">;

export async function findPaths(
  reading: Reading,
  subjects: readonly Subject[],
  moved: ReadonlyMap<number, Ino>,
): Promise<Paths> {
  const blocks = await contentsOf(reading, subjects);
  const names = new Map<Ino, Place[]>();
  const inosOf = (about: Subject): Ino[] => {
    switch (about.kind) {
      case "inode":
        return [about.ino];
      case "content":
        return ownersOf(about.content);
      case "block":
        return (blocks.get(keys.block(about.block)) ?? []).flatMap(ownersOf);
      case "entry":
      case "none":
        return [];
    }
  };
  const ownersOf = (content: Ino): Ino[] => {
    const ino = moved.get(content) ?? content;
    return ownsContent(inodeOf(reading.state, ino), content) ? [ino] : [];
  };

  const wanted = new Set<Ino>();
  const want = (start: Ino): void => {
    for (let ino = start; ino !== rootIno && !wanted.has(ino) && !names.has(ino);) {
      wanted.add(ino);
      const record = inodeOf(reading.state, ino);
      if (record === undefined || !isDirectory(record.mode)) return;
      ino = record.parent as Ino;
    }
  };
  for (const about of subjects) {
    if (about.kind === "entry") want(about.place.parent);
    for (const ino of inosOf(about)) want(ino);
  }
  while (wanted.size > 0) {
    for (const ino of wanted) names.set(ino, []);
    await each(reading, "d", (key, value) => {
      const entry = decoded({ report: () => undefined }, key, () => decodeEntry(value));
      if (entry === undefined || !wanted.has(entry.ino)) return;
      names.get(entry.ino)?.push({ parent: inoOfKey(key), name: entryOfKey(key).name });
    });
    const found = [...wanted];
    wanted.clear();
    for (const ino of found) for (const { parent } of names.get(ino) ?? []) want(parent);
  }

  const pathOf = ({ parent, name }: Place, depth = 0): string => {
    const text = shown(name);
    if (parent === rootIno) return `/${text}`;
    const above = names.get(parent)?.[0];
    if (above === undefined || depth > depthMax) return `(inode ${String(parent)})/${text}`;
    return `${pathOf(above, depth + 1)}/${text}`;
  };
  const textsOf = (ino: Ino): string[] => {
    if (ino === rootIno) return ["/"];
    const places = names.get(ino) ?? [];
    return places.length === 0 ? [`(inode ${String(ino)})`] : places.slice(0, toldMax).map((place) => pathOf(place));
  };
  const isIn = (ino: Ino, top: Ino, depth = 0): boolean =>
    ino === top || (depth < depthMax && (names.get(ino) ?? []).some(({ parent }) => isIn(parent, top, depth + 1)));

  return {
    names: (about) => (about.kind === "entry" ? [about.place] : inosOf(about).flatMap((ino) => names.get(ino) ?? [])),
    texts: (about) =>
      about.kind === "entry" ? [pathOf(about.place)] : inosOf(about).slice(0, toldMax).flatMap(textsOf),
    isBelow: (about, top) =>
      about.kind === "entry" ? isIn(about.place.parent, top) : inosOf(about).some((ino) => isIn(ino, top)),
  };
}

/** Which contents name the blocks that findings are about. */
async function contentsOf(reading: Reading, subjects: readonly Subject[]): Promise<Map<Key, Ino[]>> {
  const wanted = new Map<Key, Ino[]>();
  for (const about of subjects) if (about.kind === "block") wanted.set(keys.block(about.block), []);
  if (wanted.size === 0) return wanted;
  await each(reading, "e", (key, value) => {
    const extent = decoded({ report: () => undefined }, key, () => decodeExtent(value));
    if (extent?.kind !== "block") return;
    const contents = wanted.get(keys.block(extent.block));
    const content = inoOfKey(key);
    if (contents !== undefined && contents.length < toldMax && !contents.includes(content)) contents.push(content);
  });
  return wanted;
}

/** As UTF-8, with what would spoil a terminal or a line shown as \xNN. */
export function shown(name: Name): string {
  return nameToBytes(name)
    .toString("utf8")
    .replace(/\p{Cc}/gu, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`);
}
