/**
 * `dfs fsck` in the name server: rounds of a check of one pinned state each. What a round found is repaired in the living
 * store, and the next round looks whether that was right, until one finds nothing that can be repaired.
 *
 * Invariants: one check at a time; memory bounded by `limits.fsckStretch` and `fsckFindingsMax`; requests are let
 * through after every page of keys; a pinned state is held for one round's reading only.
 */
import { errnoOf, FsError } from "../../base/errno.ts";
import { rootIno, type Ino, type SessionId } from "../../base/ids.ts";
import { limits } from "../../base/limits.ts";
import type { Log } from "../../base/log.ts";
import { nameToText, type Name } from "../../base/name.ts";
import { keys } from "../../metadata-store/keys.ts";
import { decodeEntry } from "../../metadata-store/records.ts";
import type { PinnedState } from "../../metadata-store/types.ts";
import type { FsckSummary } from "../../protocol/check-methods.ts";
import { nextTurn } from "../next-turn.ts";
import { checkStore } from "./check-store.ts";
import { runCopiesStage, type CopiesSummary } from "./copies-stage.ts";
import type { MendCopiesParts } from "./mend-copies.ts";
import { mend, type MendParts } from "./mend.ts";
import { Outlet } from "./outlet.ts";
import { findPaths, type Paths } from "./paths.ts";
import type { Check, Counts, Finding } from "./types.ts";

export interface FsckRequest {
  readonly repair: boolean;
  readonly data: boolean;
  /** Names from the root on. */
  readonly path: readonly Name[];
}

export interface FsckParts extends MendParts {
  readonly log: Log;
  readonly hasDeparted: (session: SessionId) => boolean;
  readonly stretch?: number;
  /** The storage nodes and what repair knows of them. */
  readonly copies: Pick<MendCopiesParts, "maps" | "nodes" | "orders" | "pace" | "suspect">;
}

export interface FsckRun {
  readonly outlet: Outlet;
  /** Resolves, never rejects, when it does nothing any more. */
  readonly over: Promise<void>;
  /** Aborted: nobody wants to know what it has found any more. */
  readonly signal: AbortSignal;
  stop(reason: FsError): void;
}

/** Rounds in which something was repaired: damage behind damage shows in the next one. */
const roundsMax = 16;

/** One thing found, with its paths. */
interface Seen {
  readonly finding: Finding;
  readonly paths: readonly string[];
  readonly names: ReturnType<Paths["names"]>;
}

export function startFsck(parts: FsckParts, request: FsckRequest): FsckRun {
  const stopping = new AbortController();
  const stop = (reason: FsError): void => {
    stopping.abort(reason);
    outlet.fail(reason);
  };
  const outlet = new Outlet(parts.clock, stop);
  const over = runRounds(parts, request, outlet, stopping.signal)
    .then((summary) => {
      parts.log.info({ ...summary, repair: request.repair }, "a check of the filesystem is over");
      outlet.end(summary);
    })
    .catch((error: unknown) => {
      parts.log.warn({ problem: String(error) }, "a check of the filesystem ended early");
      outlet.fail(error instanceof FsError ? error : new FsError("EIO", "the check failed", { cause: error }));
    });
  return { outlet, over, signal: stopping.signal, stop };
}

async function runRounds(
  parts: FsckParts,
  request: FsckRequest,
  outlet: Outlet,
  signal: AbortSignal,
): Promise<FsckSummary> {
  outlet.stage("sums of the tables");
  await parts.store.verify();
  let repaired = 0;
  for (let round = 1; ; round++) {
    const { seen, counts, untold, moved } = await readRound(parts, request, outlet, signal);
    const left: Seen[] = [];
    let mended = 0;
    for (const one of seen) {
      signal.throwIfAborted();
      if (request.repair && one.finding.repair !== undefined && (await tryToMend(parts, one, signal))) {
        mended++;
        const text = `${one.finding.text}: ${one.finding.repair.text}`;
        await outlet.say({ state: "repaired", paths: [...one.paths], text });
      } else left.push(one);
    }
    repaired += mended;
    if (mended > 0 && round < roundsMax) continue;
    for (const { finding, paths } of left) {
      await outlet.say({ state: "error", paths: [...paths], text: finding.text });
    }
    if (untold > 0) await outlet.say({ state: "error", paths: [], text: `and ${String(untold)} things more` });
    const errors = left.length + untold;
    const copies = await checkNodes(parts, request, { outlet, signal, moved });
    return {
      ...counts,
      errors: errors + copies.errors,
      repaired: repaired + copies.repaired,
      notes: copies.notes,
    };
  }
}

/** False also if somebody does not give back what has to be changed: it is found again in the next round. */
async function tryToMend(parts: FsckParts, { finding, names }: Seen, signal: AbortSignal): Promise<boolean> {
  if (finding.repair === undefined) return false;
  try {
    return await mend(parts, finding.repair, names, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (errnoOf(error) !== "EAGAIN") throw error;
    parts.log.warn({ problem: finding.text }, "could not be repaired: somebody does not give it back");
    return false;
  }
}

function readRound(
  parts: FsckParts,
  request: FsckRequest,
  outlet: Outlet,
  signal: AbortSignal,
): Promise<{ seen: Seen[]; counts: Counts; untold: number; moved: ReadonlyMap<number, Ino> }> {
  return parts.store.pinned(async (state) => {
    const top = findTop(state, request.path);
    const findings: Finding[] = [];
    let untold = 0;
    const check: Check = {
      state,
      living: parts.store,
      pause: () => pause(signal),
      report: (finding) => {
        if (findings.length < limits.fsckFindingsMax) findings.push(finding);
        else untold++;
      },
      hasDeparted: parts.hasDeparted,
      stretch: parts.stretch ?? limits.fsckStretch,
      counts: { inodes: 0, entries: 0, extents: 0, blocks: 0 },
    };
    const { moved } = await checkStore(check, (text) => {
      outlet.stage(text);
    });
    if (findings.length > 0) outlet.stage("paths");
    const paths = await findPaths(
      check,
      findings.map(({ about }) => about),
      moved,
    );
    const seen = findings
      .filter(({ about }) => top === rootIno || paths.isBelow(about, top))
      .map((finding) => ({ finding, paths: paths.texts(finding.about), names: paths.names(finding.about) }));
    return { seen, counts: check.counts, untold: top === rootIno ? untold : 0, moved };
  });
}

function checkNodes(
  parts: FsckParts,
  { data, repair, path }: FsckRequest,
  { outlet, signal, moved }: { outlet: Outlet; signal: AbortSignal; moved: ReadonlyMap<number, Ino> },
): Promise<CopiesSummary> {
  const { store, log, stretch = limits.fsckStretch } = parts;
  return runCopiesStage(
    { ...parts.copies, store, log },
    {
      ...{ data, repair, stretch, moved, signal },
      findTop: (state) => findTop(state, path),
      pause: () => pause(signal),
      stage: (text) => {
        outlet.stage(text);
      },
      say: (found) => outlet.say(found),
    },
  );
}

/** Lets requests through; rejects when the check is to end. */
async function pause(signal: AbortSignal): Promise<void> {
  await nextTurn();
  signal.throwIfAborted();
}

/** ENOENT. */
function findTop(state: PinnedState, path: readonly Name[]): Ino {
  let ino: Ino = rootIno;
  for (const name of path) {
    const value = state.get(keys.entry(ino, name));
    if (value === undefined) throw new FsError("ENOENT", `there is no ${path.map(nameToText).join("/")}`);
    ino = decodeEntry(value).ino;
  }
  return ino;
}
