/**
 * Asks the replicas of a block once around: the next one when one has failed or has not answered for
 * `limits.readHedgeMillis`, until one gives the bytes or all have failed. Who is asked in vain is told to stop.
 */
import { firstBadUnit } from "../base/checksum.ts";
import type { Clock, Timer } from "../base/clock.ts";
import { errnoOf, FsError } from "../base/errno.ts";
import { blockName, type BlockId, type NodeId } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import type { Payload } from "../rpc/types.ts";
import { isConnectionError } from "./connect.ts";
import type { NodePool } from "./node-pool.ts";
import type { NodeReports } from "./node-reports.ts";

/** Which nodes failed, and how. */
export interface Failures {
  /** Has no such block. */
  readonly missing: NodeId[];
  /** Answered, but not with the right bytes. */
  readonly damaged: NodeId[];
  readonly unreachable: NodeId[];
}

export interface ReplicaRead {
  readonly block: BlockId;
  readonly offset: number;
  readonly length: number;
  /** In the order in which to ask. */
  readonly replicas: readonly NodeId[];
  /** Those of them that may not have it yet: "no such block" of theirs says nothing. */
  readonly copying: readonly NodeId[];
  readonly signal: AbortSignal | undefined;
}

interface Surroundings {
  readonly nodes: NodePool;
  readonly reports: NodeReports;
  readonly clock: Clock;
}

/** A node that is asked alone, or was asked last, has this long to answer. */
const answerMillis = limits.callMillis / 2;
const unit = limits.checksumUnitBytes;

/** Resolves with the verified bytes, or with the failures of all replicas; rejects with the signal's reason. */
export function readFromReplicas(around: Surroundings, read: ReplicaRead): Promise<Payload | Failures> {
  const { replicas, signal, block } = read;
  const failures: Failures = { missing: [], damaged: [], unreachable: [] };
  return new Promise((resolve, reject) => {
    const stop = new AbortController();
    const pending = new Set<NodeId>();
    let asked = 0;
    let hedge: Timer | undefined;
    const finish = (): void => {
      hedge?.cancel();
      signal?.removeEventListener("abort", onAbort);
      if (pending.size > 0) stop.abort(new FsError("ECANCELED", "another replica was faster"));
    };
    const onAbort = (): void => {
      finish();
      reject(signal?.reason as Error);
    };
    const askNext = (): void => {
      hedge?.cancel();
      const node = replicas[asked];
      if (node === undefined) return;
      asked++;
      pending.add(node);
      if (asked < replicas.length) hedge = around.clock.after(limits.readHedgeMillis, askNext);
      readOne(around, read, node, stop.signal).then(
        (bytes) => {
          if (stop.signal.aborted || signal?.aborted === true) return;
          pending.delete(node);
          finish();
          for (const other of failures.missing) around.reports.report(other, "missing", block);
          for (const slow of pending)
            around.nodes.suspect(slow, new FsError("ETIMEDOUT", "another replica was faster"));
          resolve(bytes);
        },
        (error: unknown) => {
          if (stop.signal.aborted || signal?.aborted === true) return;
          pending.delete(node);
          classify(around, read, node, error, failures);
          if (asked < replicas.length) askNext();
          else if (pending.size === 0) {
            finish();
            resolve(failures);
          }
        },
      );
    };
    if (signal?.aborted === true) {
      reject(signal.reason as Error);
      return;
    }
    signal?.addEventListener("abort", onAbort, { once: true });
    askNext();
  });
}

/** The bytes [offset, offset + length) of the block from one node. */
async function readOne(
  { nodes }: Surroundings,
  { block, offset, length }: ReplicaRead,
  node: NodeId,
  signal: AbortSignal,
): Promise<Payload> {
  const request = { block, offset, length };
  const { reply, payload } = await nodes.call(node, length, "readBlock", request, {
    deadlineMillis: answerMillis,
    signal,
  });
  const skip = offset - reply.start;
  const isWhole = reply.start === offset - (offset % unit) && payload.bytes.length >= skip + length;
  if (!isWhole || firstBadUnit(block, payload.bytes, reply.checksums, reply.start / unit) !== -1) {
    payload.release();
    const why = isWhole ? "its checksum does not match" : "it is shorter than it has to be";
    throw new FsError("EBADMSG", `block ${blockName(block)} from ${node}: ${why}`);
  }
  if (skip === 0 && payload.bytes.length === length) return payload;
  return {
    bytes: payload.bytes.subarray(skip, skip + length),
    release: () => {
      payload.release();
    },
  };
}

function classify(
  { reports }: Surroundings,
  { block, copying }: ReplicaRead,
  node: NodeId,
  error: unknown,
  failures: Failures,
): void {
  if (isConnectionError(error)) {
    failures.unreachable.push(node);
    reports.report(node, "unreachable");
  } else if (errnoOf(error) === "EAGAIN" || (errnoOf(error) === "ENOENT" && copying.includes(node))) {
    // It is still copying the block.
    failures.unreachable.push(node);
  } else if (errnoOf(error) === "ENOENT") {
    failures.missing.push(node);
  } else {
    failures.damaged.push(node);
    reports.report(node, "corrupt", block);
  }
}
