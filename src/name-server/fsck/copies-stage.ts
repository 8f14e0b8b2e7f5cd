/** The last stage of a check: blocks on their nodes, with the paths of the files that they belong to. */
import { blockName, rootIno, type Ino } from "../../base/ids.ts";
import type { PinnedState } from "../../metadata-store/types.ts";
import type { Found } from "../../protocol/check-methods.ts";
import { blocksBelow } from "./blocks-below.ts";
import { checkCopies, copyText, type BadCopy } from "./check-copies.ts";
import { mendCopy, type MendCopiesParts } from "./mend-copies.ts";
import { findPaths } from "./paths.ts";
import type { Subject } from "./types.ts";

export interface CopiesStage {
  readonly data: boolean;
  readonly repair: boolean;
  readonly stretch: number;
  readonly findTop: (state: PinnedState) => Ino;
  readonly moved: ReadonlyMap<number, Ino>;
  /** Nobody wants to know any more. */
  readonly signal: AbortSignal;
  pause(): Promise<void>;
  stage(text: string): void;
  say(found: Found): Promise<void> | undefined;
}

export interface CopiesSummary {
  readonly errors: number;
  readonly repaired: number;
  readonly notes: number;
}

export async function runCopiesStage(parts: MendCopiesParts, check: CopiesStage): Promise<CopiesSummary> {
  const { store } = parts;
  const reading = (state: PinnedState): { state: PinnedState; pause: () => Promise<void>; stretch: number } => ({
    ...{ state, stretch: check.stretch },
    pause: () => check.pause(),
  });
  const only = await store.pinned(async (state) => {
    const top = check.findTop(state);
    return top === rootIno ? undefined : blocksBelow(reading(state), top);
  });
  const copies = await checkCopies(parts, {
    ...{ data: check.data, only, signal: check.signal },
    pause: () => check.pause(),
    progress: (done, all) => {
      check.stage(`copies of blocks: group ${String(done + 1)} of ${String(all)}`);
    },
  });
  const byBlock = new Map<string, BadCopy[]>();
  for (const copy of copies.bad) {
    const name = blockName(copy.block);
    byBlock.set(name, [...(byBlock.get(name) ?? []), copy]);
  }
  const told = [...byBlock.values()].map((bad): Told => ({ bad, about: aboutOf(bad) }));
  const paths = await store.pinned((state) =>
    findPaths(
      reading(state),
      told.map(({ about }) => about),
      check.moved,
    ),
  );
  let errors = copies.untold;
  let repaired = 0;
  for (const { bad, about } of told) {
    await check.pause();
    const text = copyText(parts, bad);
    const mended: boolean[] = [];
    if (check.repair) for (const copy of bad) mended.push(await mendCopy(parts, copy, check.signal));
    const isGood = check.repair && mended.every(Boolean);
    if (isGood) repaired++;
    else errors++;
    await check.say({
      state: isGood ? "repaired" : "error",
      paths: [...paths.texts(about)],
      text: isGood ? `${text}: it was copied from another node` : text,
    });
  }
  if (copies.untold > 0) {
    await check.say({ state: "error", paths: [], text: `and ${String(copies.untold)} bad copies more` });
  }
  for (const text of copies.notes) await check.say({ state: "note", paths: [], text });
  return { errors, repaired, notes: copies.notes.length };
}

interface Told {
  readonly bad: readonly BadCopy[];
  readonly about: Subject;
}

function aboutOf(bad: readonly BadCopy[]): Subject {
  const [first] = bad;
  return first === undefined ? { kind: "none" } : { kind: "block", block: first.block };
}
