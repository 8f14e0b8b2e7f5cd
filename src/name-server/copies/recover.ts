/**
 * A name server's folder made anew from what storage nodes keep: their registers say which copies have everything that
 * was acknowledged, and a majority of them that there is no newer register.
 *
 * Order: hear enough nodes; have them promise a higher epoch, from where on the server before cannot serve; read the
 * newest of their registers again; fetch the longest of its members' copies; store the register as this server's own.
 * The file `recovering` is in the folder until all of that is done: then it is simply done again.
 */
import { alignedBuffer } from "../../base/aligned-buffer.ts";
import { checksum } from "../../base/checksum.ts";
import type { Disk } from "../../base/disk.ts";
import { FsError } from "../../base/errno.ts";
import type { NodeId } from "../../base/ids.ts";
import { limits } from "../../base/limits.ts";
import type { Log } from "../../base/log.ts";
import { adoptSpare, journalFolder, journalSlotBytes, prepareSpare, slotAfter } from "../../journal/journal-files.ts";
import { lastIndex, placeRecord, splitRecords } from "../../journal/journal-record.ts";
import type { Position } from "../../journal/position.ts";
import { writeEpoch } from "../../metadata-store/epoch-file.ts";
import { snapshotFolder } from "../../metadata-store/snapshot.ts";
import { putSnapshot } from "../../metadata-store/snapshot-source.ts";
import type { Claim, JournalRegister, JournalState } from "../../protocol/journal-methods.ts";
import type { Address } from "../../rpc/types.ts";
import { countIn, newestRegister, recoveryQuorum } from "./register.ts";
import type { ConnectNode } from "./types.ts";

export interface RecoverOptions {
  /** An empty folder, or one in which this was not finished. */
  readonly disk: Disk;
  /** A new id, in the folder already. */
  readonly server: string;
  /** Where this server will be found. */
  readonly address: Address | null;
  /** Storage nodes to ask; those that their registers name are asked, too. */
  readonly nodes: readonly Address[];
  /** Go on without a majority, or without a complete copy. */
  readonly acceptLoss: boolean;
  /** The server goes on that has been there: rejects with ESTALE when another one has taken over. */
  readonly isOwn?: boolean;
  readonly connect: ConnectNode;
  readonly log: Log;
}

interface Heard {
  readonly address: Address;
  readonly peer: Awaited<ReturnType<ConnectNode>>;
  state: JournalState;
}

/** Rejects with EIO or EAGAIN and a sentence that says who is missing. */
export async function recoverFolder(options: RecoverOptions): Promise<void> {
  const { log } = options;
  const heard = new Map<NodeId, Heard>();
  try {
    const failures = await hear(options, heard);
    mustBeOwn(options, mustBeEnough(options, heard, failures));
    const claim = await raise(options, heard);
    const register = mustBeEnough(options, heard, failures);
    mustBeOwn(options, register);
    const { source, end } = await fetchOne(options, choose(options, register, heard), claim);
    await writeEpoch(options.disk, { epoch: claim.epoch, index: end.index });
    await storeRegister(options, heard, claim, register);
    log.warn({ from: source.state.node, index: end.index, epoch: claim.epoch }, "the metadata was recovered");
  } finally {
    for (const { peer } of heard.values()) peer.close("recovered");
  }
}

/** Asks all that are named, and those that they name. Resolves with why others could not be asked. */
async function hear({ nodes, connect }: RecoverOptions, heard: Map<NodeId, Heard>): Promise<Map<string, string>> {
  const failures = new Map<string, string>();
  const asked = new Set<string>();
  for (let left = [...nodes]; left.length > 0;) {
    await Promise.all(
      left.map(async (address) => {
        asked.add(nameOf(address));
        try {
          const peer = await connect(address);
          const { reply } = await peer.call("journalState", {});
          heard.set(reply.node, { address, peer, state: reply });
        } catch (error) {
          failures.set(nameOf(address), (error as Error).message);
        }
      }),
    );
    const newest = newestRegister([...heard.values()].map(({ state }) => state.register));
    left = (newest?.nodes ?? []).map(({ address }) => address).filter((address) => !asked.has(nameOf(address)));
  }
  return failures;
}

/** The newest register, if it is certain that there is no newer one. */
function mustBeEnough(
  { acceptLoss, log }: RecoverOptions,
  heard: ReadonlyMap<NodeId, Heard>,
  failures: ReadonlyMap<string, string>,
): JournalRegister {
  const register = newestRegister([...heard.values()].map(({ state }) => state.register));
  if (register === undefined) {
    const why = [...failures].map(([address, reason]) => `${address}: ${reason}`).join("; ");
    throw new FsError(
      "EIO",
      `no storage node that was asked keeps a register of the journal's copies${why && ` (${why})`}`,
    );
  }
  const clusters = new Set([...heard.values()].map(({ state }) => state.cluster).filter((cluster) => cluster !== null));
  if (clusters.size > 1)
    throw new FsError("EINVAL", `the nodes belong to several clusters: ${[...clusters].join(", ")}`);
  const needed = recoveryQuorum(register.nodes.length);
  const here = countIn(register, new Set(heard.keys()));
  if (here >= needed) return register;
  const missing = register.nodes.filter(({ node }) => !heard.has(node));
  const names = missing.map(({ node, address }) => `${node} at ${nameOf(address)}`).join(", ");
  const text = `${String(here)} of ${String(register.nodes.length)} storage nodes answer, ${String(needed)} are needed; missing: ${names}`;
  if (!acceptLoss)
    throw new FsError(
      "EAGAIN",
      `${text}. Start them; or --accept-loss, if they are lost: then what they alone know is lost`,
    );
  log.warn({ missing: names }, "recovering without a majority: what only the missing nodes know is lost");
  return register;
}

function mustBeOwn({ isOwn = false, server }: RecoverOptions, register: JournalRegister): void {
  if (!isOwn || register.server === server) return;
  throw new FsError(
    "ESTALE",
    `this cluster was taken over by another name server (epoch ${String(register.epoch)}): start that one`,
  );
}

async function raise({ server, address, acceptLoss, log }: RecoverOptions, heard: Map<NodeId, Heard>): Promise<Claim> {
  const epoch = (acceptLoss ? limits.lossEpochs : 1) + Math.max(...[...heard.values()].map(({ state }) => state.epoch));
  const claim = { epoch, server };
  const cluster = [...heard.values()].map((one) => one.state.cluster).find((one) => one !== null);
  if (cluster === undefined) throw new FsError("EIO", "none of the nodes belongs to a cluster");
  await Promise.all(
    [...heard].map(async ([node, one]) => {
      try {
        one.state = (await one.peer.call("raiseEpoch", { ...claim, cluster, address })).reply;
      } catch (error) {
        log.warn({ err: error, node }, "a storage node does not obey");
        heard.delete(node);
        one.peer.close("it does not obey");
      }
    }),
  );
  return claim;
}

/** Copies of members, the longest first: each has everything that was acknowledged. With `acceptLoss` any copies. */
function choose(
  { acceptLoss, log }: RecoverOptions,
  register: JournalRegister,
  heard: ReadonlyMap<NodeId, Heard>,
): readonly Heard[] {
  // One that was only begun has nothing at all.
  const usable = [...heard.values()].filter((one) => rank(one) > 0);
  usable.sort((a, b) => rank(b) - rank(a));
  const complete = usable.filter(({ state }) => register.members.includes(state.node));
  if (complete.length > 0) return complete;
  const members = register.members.map((node) => {
    const address = register.nodes.find((one) => one.node === node)?.address;
    return address === undefined ? node : `${node} at ${nameOf(address)}`;
  });
  const text =
    members.length === 0
      ? "no storage node has a complete copy of the journal (with --replicas 1 there is none)"
      : `the complete copies of the journal are on ${members.join(", ")}, which do not answer or are damaged`;
  const [best] = usable;
  if (best === undefined) throw new FsError("EAGAIN", `${text}. Start them: the other nodes have no copy`);
  if (!acceptLoss) throw new FsError("EAGAIN", `${text}. Start them; or --accept-loss, if they are lost`);
  log.warn(
    { from: best.state.node, end: best.state.copy?.end.index },
    "recovering from an older copy: later changes are lost",
  );
  return usable;
}

function rank({ state }: Heard): number {
  return state.copy?.end.index ?? -1;
}

/** From the first that is not damaged. */
async function fetchOne(
  { disk, log }: RecoverOptions,
  sources: readonly Heard[],
  claim: Claim,
): Promise<{ source: Heard; end: Position }> {
  let failure: unknown;
  for (const source of sources) {
    try {
      return { source, end: await fetchCopy(disk, source, claim) };
    } catch (error) {
      log.error({ err: error, node: source.state.node }, "a copy of the journal cannot be used");
      failure = error;
      for (const folder of [journalFolder, snapshotFolder]) await empty(disk, folder);
    }
  }
  throw failure;
}

async function empty(disk: Disk, folder: string): Promise<void> {
  await disk.makeFolder(folder);
  for (const name of await disk.list(folder)) await disk.remove(`${folder}/${name}`);
}

/** Base and records, as the files that they were. Resolves with the newest position. */
async function fetchCopy(disk: Disk, { peer, state }: Heard, claim: Claim): Promise<Position> {
  const { copy } = state;
  if (copy === null) throw new FsError("EIO", "no copy");
  if (copy.baseBytes > 0) {
    let crc = 0;
    await putSnapshot(disk, copy.base.index, copy.baseBytes, async (offset) => {
      const length = Math.min(limits.journalSendBytesMax, copy.baseBytes - offset);
      const { payload } = await peer.call("readJournalBase", { ...claim, offset, length });
      crc = checksum(payload.bytes, crc);
      return Buffer.from(payload.bytes);
    });
    // The node verified it when it started.
    if (crc !== copy.baseCrc) throw new FsError("EIO", `the base of node ${state.node}'s copy is damaged`);
  }
  let end: Position = copy.base;
  await disk.makeFolder(journalFolder);
  await prepareSpare(disk, journalSlotBytes);
  let file: Awaited<ReturnType<typeof adoptSpare>> | undefined;
  while (file === undefined || end.index < copy.end.index) {
    const { payload } = await peer.call("readJournal", { ...claim, first: end.index + 1 });
    const records = splitRecords(Buffer.from(payload.bytes));
    if (records === undefined)
      throw new FsError("EIO", `node ${state.node} sent damaged records: its copy cannot be used`);
    const [first] = records;
    file ??= await adoptSpare(
      disk,
      {
        sequence: 1,
        epoch: claim.epoch,
        first: first?.header.first ?? end.index + 1,
        predecessor: first?.header.predecessor ?? end.crc,
      },
      () => [],
    );
    for (const { header, bytes } of records) {
      const placed = alignedBuffer(slotAfter(bytes.length));
      placed.set(bytes);
      placeRecord(placed, file.seed, file.end);
      await file.file.write([placed], file.end);
      file.end += placed.length;
      end = { epoch: header.epoch, index: lastIndex(header), crc: header.crc };
    }
    if (records.length === 0) break;
  }
  await file.file.close();
  if (end.index < copy.end.index) throw new FsError("EIO", `node ${state.node} did not send all of its copy`);
  return end;
}

/** From here on it is this server's: the one before sees so if it is started again. */
async function storeRegister(
  { acceptLoss, server }: RecoverOptions,
  heard: ReadonlyMap<NodeId, Heard>,
  claim: Claim,
  old: JournalRegister,
): Promise<void> {
  const register = { ...old, epoch: claim.epoch, server };
  const stored = new Set<NodeId>();
  await Promise.all(
    [...heard].map(async ([node, { peer }]) => {
      await peer.call("storeRegister", { ...claim, register });
      stored.add(node);
    }),
  );
  if (!acceptLoss && countIn(register, stored) < recoveryQuorum(register.nodes.length))
    throw new FsError("EIO", "too few nodes took the register");
}

function nameOf({ host, port }: Address): string {
  return `${host.includes(":") ? `[${host}]` : host}:${String(port)}`;
}
