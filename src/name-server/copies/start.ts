/**
 * The start of a name server whose cluster has nodes: hears enough of them, makes sure that it may go on, claims its
 * epoch, and adopts what members have beyond its own journal. Only then anything is answered.
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
import type { CopyNode, CopyPeer } from "./types.ts";

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
}

const lookMillis = 50;
const restoreHint =
  "its folder is an old copy; make an empty one, and start it with --recover --nodes and the addresses of the storage nodes";

/** Rejects with ESTALE when the cluster belongs to another server, with EIO when this journal cannot be brought up to date. */
export async function startCopies(parts: StartParts): Promise<void> {
  const { copies, source, nodes } = parts;
  if (nodes().length === 0) {
    copies.claimEpoch(parts.epoch());
    copies.begin(undefined);
    return;
  }
  await enoughArrived(parts);
  for (;;) {
    const states = [...parts.arrivals.values()].map(({ state }) => state);
    mustBeOurs(parts, newestRegister(states.map(({ register }) => register)));
    const epoch = Math.max(parts.epoch(), ...states.map((state) => state.epoch + 1));
    await source.raiseEpoch(epoch);
    copies.claimEpoch(epoch);
    const admitted = await admitAll(parts);
    const promised = [...admitted.values()].map(({ state }) => state);
    const register = newestRegister(promised.map((state) => state.register));
    const basis = register ?? { nodes: nodes().map(({ node, address }) => ({ node, address })) };
    mustBeOurs(parts, register);
    if (areEnough(new Set(admitted.keys()), [basis])) {
      await adopt(parts, register, admitted);
      copies.begin(register);
      return;
    }
    parts.onWaiting(waitingText(basis, new Set(admitted.keys())));
    await sleep(parts.clock, lookMillis, parts.signal);
  }
}

/** All that are expected within some seconds, then as many as are needed. */
async function enoughArrived(parts: StartParts): Promise<void> {
  const { clock, arrivals, nodes, signal } = parts;
  const until = clock.monotonicMillis() + limits.allNodesMillis;
  for (;;) {
    const here = new Set(arrivals.keys());
    const register = newestRegister([...arrivals.values()].map(({ state }) => state.register));
    const basis = register ?? { nodes: nodes().map(({ node, address }) => ({ node, address })) };
    const isAll = countIn(basis, here) === basis.nodes.length;
    if (isAll || (clock.monotonicMillis() >= until && areEnough(here, [basis]))) return;
    parts.onWaiting(waitingText(basis, here));
    await sleep(clock, lookMillis, signal);
  }
}

function waitingText(basis: Pick<JournalRegister, "nodes">, here: ReadonlySet<NodeId>): string {
  const missing = basis.nodes.filter(({ node }) => !here.has(node));
  const names = missing.map(({ node, address }) => `${node} at ${address.host}:${String(address.port)}`);
  const needed = storeQuorum(basis.nodes.length);
  return (
    `the name server does not answer anybody yet: ${String(countIn(basis, here))} of ${String(basis.nodes.length)} storage ` +
    `nodes are here, ${String(needed)} are needed; missing: ${names.join(", ")}`
  );
}

function mustBeOurs({ server }: StartParts, register: JournalRegister | undefined): void {
  if (register === undefined || register.server === server) return;
  throw new FsError(
    "ESTALE",
    `this cluster was taken over by another name server (epoch ${String(register.epoch)}): start that one. This folder is ` +
      "not needed any more",
  );
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
