/**
 * The start of a name server whose cluster has nodes: hears enough of them, makes sure that it may go on, claims its
 * epoch, and adopts what members have beyond its own journal. Only then anything is answered. With an operator's word that
 * the others are lost those that are here are enough.
 */
import { sleep, type Clock } from "../../base/clock.ts";
import { FsError } from "../../base/errno.ts";
import type { NodeId } from "../../base/ids.ts";
import { limits } from "../../base/limits.ts";
import type { Log } from "../../base/log.ts";
import { splitRecords } from "../../journal/journal-record.ts";
import type { JournalSource } from "../../metadata-store/types.ts";
import type { JournalRegister, JournalState } from "../../protocol/journal-methods.ts";
import type { Copies } from "./copies.ts";
import { areEnough, countIn, newestRegister, storeQuorum } from "./register.ts";
import { takenOver } from "./taken-over.ts";
import type { AcceptedLoss, CopyNode, CopyPeer } from "./types.ts";

export interface Arrival {
  readonly peer: CopyPeer;
  readonly state: JournalState;
}

export interface StartParts {
  readonly copies: Copies;
  readonly source: JournalSource;
  readonly server: string;
  readonly epoch: () => number;
  readonly clock: Clock;
  readonly log: Log;
  readonly nodes: () => readonly CopyNode[];
  /** Nodes that have connected, with what they said. */
  readonly arrivals: ReadonlyMap<NodeId, Arrival>;
  readonly signal: AbortSignal;
  readonly onWaiting: (text: string | undefined) => void;
  readonly loss: AcceptedLoss | undefined;
}

const lookMillis = 50;
const restoreHint =
  "its folder is an old copy; make an empty one, and start it with --recover --nodes and the addresses of the storage nodes";

/**
 * Resolves with whether a loss was accepted: then another server may still believe that it may serve. Rejects with ESTALE
 * when the cluster belongs to another server, with EIO when this journal cannot be brought up to date.
 */
export async function startCopies(parts: StartParts): Promise<boolean> {
  const { copies, nodes } = parts;
  if (nodes().length === 0) {
    copies.claimEpoch(parts.epoch());
    copies.begin(undefined);
    return false;
  }
  const mayLose = await enoughArrived(parts);
  if (mayLose) await takeOver(parts);
  else await goOn(parts);
  return mayLose;
}

async function goOn(parts: StartParts): Promise<void> {
  const { copies, arrivals } = parts;
  for (;;) {
    if (newestOfEnough(parts, arrivals) !== undefined) {
      await claim(parts);
      const admitted = await admitAll(parts);
      const newest = newestOfEnough(parts, admitted);
      if (newest !== undefined) {
        await adopt(parts, newest.register, admitted);
        copies.begin(newest.register);
        return;
      }
    }
    await sleep(parts.clock, lookMillis, parts.signal);
  }
}

/**
 * The newest register, which is this server's. Undefined: too few nodes are here, of which none may have heard yet whose
 * the cluster is; says who is missing. ESTALE: it is another server's.
 */
function newestOfEnough(
  parts: StartParts,
  here: ReadonlyMap<NodeId, Arrival>,
): { readonly register: JournalRegister | undefined } | undefined {
  const register = newestRegister([...here.values()].map(({ state }) => state.register));
  const basis = register ?? { nodes: parts.nodes().map(({ node, address }) => ({ node, address })) };
  const nodes = new Set(here.keys());
  if (!areEnough(nodes, [basis])) {
    parts.onWaiting(waitingText(basis, nodes, parts.loss));
    return undefined;
  }
  mustBeOurs(parts, register);
  return { register };
}

/** As this folder has it, with the nodes that are here: of the others, and of another server's changes, nothing is kept. */
async function takeOver(parts: StartParts): Promise<void> {
  const { copies, nodes, server, log } = parts;
  await claim(parts, limits.lossEpochs);
  const admitted = await admitAll(parts);
  const register = newestRegister([...admitted.values()].map(({ state }) => state.register));
  if (register?.server === server) await adopt(parts, register, admitted);
  const known = nodes().filter(({ node }) => admitted.has(node));
  const lost = nodes().filter(({ node }) => !admitted.has(node));
  log.warn(
    { lost: lost.map(({ node }) => node) },
    "an operator has accepted the loss of what missing storage nodes know",
  );
  // Members' copies are begun anew: nothing says that they belong to this folder.
  const kept = register === undefined ? undefined : { ...register, members: [], nodes: known };
  copies.begin(known.length === 0 ? undefined : kept, new Set(lost.map(({ node }) => node)));
}

/** Above whatever was promised. */
async function claim({ copies, source, arrivals, epoch }: StartParts, ahead = 0): Promise<void> {
  const promised = [...arrivals.values()].map(({ state }) => state.epoch + 1);
  const next = Math.max(epoch(), ...promised) + ahead;
  await source.raiseEpoch(next);
  copies.claimEpoch(next);
}

/** All that are expected within some seconds, then as many as are needed. Resolves with whether those here have to do. */
async function enoughArrived(parts: StartParts): Promise<boolean> {
  const { clock, arrivals, nodes, signal, loss } = parts;
  const until = clock.monotonicMillis() + limits.allNodesMillis;
  for (;;) {
    const here = new Set(arrivals.keys());
    const register = newestRegister([...arrivals.values()].map(({ state }) => state.register));
    const basis = register ?? { nodes: nodes().map(({ node, address }) => ({ node, address })) };
    const isAll = countIn(basis, here) === basis.nodes.length;
    if (isAll || clock.monotonicMillis() >= until) {
      if (here.size > 0 && (await loss?.isGiven()) === true) return true;
      if (isAll || areEnough(here, [basis])) return false;
    }
    parts.onWaiting(waitingText(basis, here, loss));
    await sleep(clock, lookMillis, signal);
  }
}

function waitingText(
  basis: Pick<JournalRegister, "nodes">,
  here: ReadonlySet<NodeId>,
  loss: AcceptedLoss | undefined,
): string {
  const missing = basis.nodes.filter(({ node }) => !here.has(node));
  const names = missing.map(({ node, address }) => `${node} at ${address.host}:${String(address.port)}`);
  const needed = storeQuorum(basis.nodes.length);
  return (
    `the name server does not answer anybody yet: ${String(countIn(basis, here))} of ${String(basis.nodes.length)} storage ` +
    `nodes are here, ${String(needed)} are needed; missing: ${names.join(", ")}` +
    (loss === undefined ? "" : `. Start them; or, if they are lost for ever with all that they know, ${loss.how}`)
  );
}

function mustBeOurs({ server }: StartParts, register: JournalRegister | undefined): void {
  if (register === undefined || register.server === server) return;
  throw takenOver(register);
}

async function admitAll({ copies, arrivals, log }: StartParts): Promise<Map<NodeId, Arrival>> {
  const admitted = new Map<NodeId, Arrival>();
  await Promise.all(
    [...arrivals].map(async ([node, { peer }]) => {
      try {
        admitted.set(node, { peer, state: await copies.admit(node, peer) });
      } catch (error) {
        log.warn({ err: error, node }, "a storage node does not take part in the start");
      }
    }),
  );
  return admitted;
}

/** The longest continuation that a member has: what was written there and not here was perhaps acknowledged. */
async function adopt(
  { copies, source, log }: StartParts,
  register: JournalRegister | undefined,
  admitted: ReadonlyMap<NodeId, Arrival>,
): Promise<void> {
  const members = [...admitted].filter(([node]) => register?.members.includes(node) === true);
  members.sort(([, a], [, b]) => (b.state.copy?.end.index ?? 0) - (a.state.copy?.end.index ?? 0));
  const [longest] = members;
  if (longest === undefined) return;
  const [node, { peer, state }] = longest;
  const last = state.copy?.end;
  const from = source.end;
  if (last === undefined || last.index < from.index) return;
  if (last.index === from.index && last.crc === from.crc) return;
  if (last.index === from.index || (state.copy?.base.index ?? 0) > from.index)
    throw tooOld(node, from.index, last.index);
  while (source.end.index < last.index) {
    const { payload } = await peer.call("readJournal", { ...copies.claim, first: source.end.index + 1 });
    const records = splitRecords(Buffer.from(payload.bytes));
    payload.release();
    for (const { header, bytes } of records ?? []) {
      if (header.first !== source.end.index + 1 || header.predecessor !== source.end.crc)
        throw tooOld(node, from.index, last.index);
      await source.adopt(Buffer.from(bytes));
    }
    if (records === undefined || records.length === 0) throw tooOld(node, from.index, last.index);
  }
  log.warn({ node, from: from.index, to: last.index }, "the journal was continued from a storage node's copy");
}

function tooOld(node: NodeId, own: number, theirs: number): FsError {
  return new FsError(
    "EIO",
    `the journal ends at batch ${String(own)} and does not lead to batch ${String(theirs)}, which the copy of node ${node} has: ` +
      restoreHint,
  );
}
