/**
 * Copies of the name server's journal on storage nodes, and the small register by which a later name server finds the
 * newest of them. All but `nameServerAddress` are for the role name-server only, on whichever connection.
 *
 * A *server* is one name server's folder, by the id that it was given when it was made (or recovered): an epoch belongs
 * to one server. What carries a lower epoch than the node has promised to obey, or the same one of another server, is
 * refused with ESTALE.
 */
import { z } from "zod";
import { limits } from "../base/limits.ts";
import { nothing, table } from "./method-table.ts";
import { address, clusterId, count, nodeId, uint32 } from "./types.ts";

/** As in journal/position.ts. */
export const journalPosition = z.object({ epoch: count, index: count, crc: uint32 });

export const serverId = z.string().regex(/^[0-9a-f]{16}$/, "not a server id");

/** Which copies count. The highest (epoch, generation) is the newest. */
export const journalRegister = z.object({
  epoch: count,
  generation: count,
  server: serverId,
  /** Their copies have every record that was acknowledged under this generation. */
  members: z.array(nodeId).max(limits.replicasMax - 1),
  /** All nodes that keep the register. */
  nodes: z.array(z.object({ node: nodeId, address })).max(limits.registerNodesMax),
});
export type JournalRegister = z.infer<typeof journalRegister>;

/** What a node keeps. */
export const journalState = z.object({
  node: nodeId,
  cluster: clusterId.nullable(),
  /** Promised; 0: none yet. */
  epoch: count,
  server: serverId.nullable(),
  register: journalRegister.nullable(),
  /** Null: no copy, or none that can be read. `end`: its newest record. `baseBytes` is 0 where it begins at the origin. */
  copy: z.object({ base: journalPosition, baseBytes: count, baseCrc: uint32, end: journalPosition }).nullable(),
});
export type JournalState = z.infer<typeof journalState>;

const claim = { epoch: count, server: serverId } as const;
export type Claim = { readonly epoch: number; readonly server: string };

export const journalMethods = table({
  journalState: { request: nothing, reply: journalState },
  /** The node promises, durably, to obey no lower epoch; `address`: where that server can be found, if it knows. */
  raiseEpoch: {
    request: z.object({ ...claim, cluster: clusterId, address: address.nullable() }),
    reply: journalState,
  },
  /** Answered while no higher epoch was promised. */
  confirmEpoch: { request: z.object(claim), reply: nothing },
  /** Durable when answered. ESTALE also for a lower generation of the same epoch. */
  storeRegister: { request: z.object({ ...claim, register: journalRegister }), reply: nothing },
  /**
   * A piece (the payload) of a base: a snapshot of `bytes` bytes with this checksum, sent from offset 0 on. With the last
   * piece it is verified and becomes the copy's base; records below it are dropped. `start`: the copy begins anew, and
   * its first record will be this one; EBUSY when it is the usable copy of a member.
   */
  putJournalBase: {
    request: z.object({
      ...claim,
      base: journalPosition,
      bytes: count,
      crc: uint32,
      offset: count,
      start: z.object({ first: count, predecessor: uint32 }).nullable(),
    }),
    reply: nothing,
  },
  /**
   * Appends records (the payload, whole ones) behind `after`, on disk when answered. EINVAL unless the copy ends there
   * and the records continue it. Several at once only to who is no member: a crash in the middle of them may show a later
   * one without an earlier one, which counts as damage.
   */
  appendJournal: {
    request: z.object({ ...claim, after: journalPosition }),
    reply: z.object({ end: journalPosition }),
  },
  /** A piece of the base, checked as a whole by who reads it all. */
  readJournalBase: {
    request: z.object({ ...claim, offset: count, length: z.number().int().min(1).max(limits.blockBytesMax) }),
    reply: nothing,
  },
  /** Records from the one that has batch `first` (or begins the copy) on: as many as fit, at least one; none at the end. */
  readJournal: { request: z.object({ ...claim, first: count }), reply: nothing },
  /**
   * For everybody: what this node has promised, and where that server said that it is (null: it did not say). It may not
   * serve yet, or not any more: a hint, by which whoever lost the name server finds it (see ask-nodes.ts).
   */
  nameServerAddress: { request: nothing, reply: z.object({ epoch: count, address: address.nullable() }) },
});
export type JournalMethods = typeof journalMethods;
