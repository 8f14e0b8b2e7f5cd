/**
 * The copies of the journal as the rest of the name server sees them: nodes are admitted, the start waits for them, and
 * nothing is served unless enough of them obey. A name server that is given no `CopyOptions` has none of this.
 */
import { sleep, type Clock, type Timer } from "../../base/clock.ts";
import { FsError } from "../../base/errno.ts";
import type { ClusterId, NodeId } from "../../base/ids.ts";
import { limits } from "../../base/limits.ts";
import type { Log } from "../../base/log.ts";
import type { CopiesStatus } from "../../protocol/status.ts";
import type { StorageNode } from "../storage-node.ts";
import { Copies } from "./copies.ts";
import { Inquiry } from "./inquiry.ts";
import { isNamedIn, storeQuorum } from "./register.ts";
import { startCopies, type Arrival } from "./start.ts";
import type { CopyNode, CopyOptions, CopyPeer } from "./types.ts";

export interface JournalService {
  /** Whether anything may be answered now. */
  readonly isOpen: boolean;
  /** Resolves when something may be answered again; never, when another server has taken over. */
  opened(): Promise<void>;
  /** A storage node is about to register on this connection: resolves when it takes part. */
  readonly admit: (node: NodeId, cluster: ClusterId | null, peer: CopyPeer) => Promise<void>;
  /** Resolves when the name server may read and change its store. */
  start(): Promise<void>;
  /** The name server is ready to answer. */
  serve(): void;
  /** Resolves when no copy and no majority needs this node any more, which has been given up. EBUSY: not within seconds. */
  leftOut(node: NodeId): Promise<void>;
  /** Rejects when another server has taken over. */
  readonly deposed: Promise<never>;
  status(): CopiesStatus;
  warnings(): string[];
  close(): void;
}

/**
 * The storage nodes that keep register and copies: those of the cluster that are not given up. One that is drained hands
 * them over with the last of its groups, while it is still there.
 */
export function copyNodes(nodes: readonly StorageNode[], hasGroups: (node: NodeId) => boolean): CopyNode[] {
  return nodes
    .filter(({ record }) => record.state !== "removed" && !record.out)
    .filter(({ id, record }) => record.state !== "draining" || hasGroups(id))
    .map(({ id, record, state }) => ({
      node: id,
      address: { host: record.host, port: record.port },
      label: record.hostLabel === "" ? record.host : record.hostLabel,
      isUp: state === "up" && record.state === "member",
    }));
}

const tickMillis = 250;
/** An operator waits so long until a node has been left out. */
const leaveMillis = 10_000;
/** So long "enough have confirmed" is not computed again: little beside the time for which it holds. */
const rememberMillis = 100;
/** Snapshots are rare: it is enough to look for a new one now and then. */
const ticksPerRenewal = 40;

export function createJournalService(
  parts: CopyOptions & {
    readonly clock: Clock;
    readonly log: Log;
    readonly cluster: () => ClusterId;
    readonly replicas: number;
    readonly epoch: () => number;
    readonly nodes: () => readonly CopyNode[];
  },
): JournalService {
  const { clock, log } = parts;
  const copies = new Copies({ ...parts, wanted: parts.replicas - 1 });
  const arrivals = new Map<NodeId, Arrival>();
  const inquiry = new Inquiry({
    ...{ clock, connect: parts.connect, server: parts.server },
    nodes: () => copies.register?.nodes ?? parts.nodes(),
    onTakenOver: async (error) => {
      if ((await parts.loss?.isGiven()) !== true) copies.depose(error);
    },
  });
  const stopping = new AbortController();
  let begun: (() => void) | undefined;
  const hasBegun = new Promise<void>((resolve) => {
    begun = resolve;
  });
  let serving: (() => void) | undefined;
  const mayServe = new Promise<void>((resolve) => {
    serving = resolve;
  });
  let isRunning = false;
  let isServing = false;
  let waitingFor: string | undefined;
  let waiters: (() => void)[] = [];
  let openUntil = 0;
  let ticks = 0;
  let timer: Timer | undefined;

  function tick(): void {
    copies.tick();
    inquiry.tick(isRunning && copies.isConfirmed);
    if (++ticks % ticksPerRenewal === 0) copies.renewBases();
    if (waiters.length > 0 && service.isOpen) for (const go of waiters.splice(0)) go();
    timer = clock.after(tickMillis, tick);
  }

  async function until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await sleep(clock, tickMillis / 5, stopping.signal);
  }

  const service: JournalService = {
    get isOpen() {
      if (!isServing || copies.isDeposed) return false;
      const now = clock.monotonicMillis();
      if (now < openUntil) return true;
      if (copies.isConfirmed) openUntil = now + rememberMillis;
      return now < openUntil;
    },
    opened: () =>
      service.isOpen
        ? Promise.resolve()
        : new Promise((resolve) => {
            waiters.push(resolve);
          }),
    deposed: copies.deposed,

    async admit(node, cluster, peer) {
      // Refused by who registers nodes, with a message; what it says of its cluster's server is not about this one.
      if (cluster !== null && cluster !== parts.cluster()) return;
      if (!isRunning) {
        const { reply: state } = await peer.call("journalState", {});
        const arrival = { peer, state };
        arrivals.set(node, arrival);
        void peer.closed.then(() => {
          if (arrivals.get(node) === arrival) arrivals.delete(node);
        });
        await hasBegun;
      }
      await copies.admit(node, peer);
      copies.tick();
      await mayServe;
    },

    async start() {
      tick();
      const hasTakenOver = await startCopies({
        ...{ copies, arrivals, clock, log },
        ...{ source: parts.source, server: parts.server, epoch: parts.epoch, nodes: parts.nodes },
        ...{ signal: stopping.signal, loss: parts.loss },
        onWaiting: (text) => {
          waitingFor = text;
        },
      });
      waitingFor = undefined;
      const claimedAt = clock.monotonicMillis();
      isRunning = true;
      begun?.();
      // What was read here may not be answered before all members have it, too.
      await copies.have(parts.source.end.index);
      await until(() => copies.isInEffect && copies.isConfirmed);
      if (hasTakenOver) await parts.loss?.done();
      const waitMillis = hasTakenOver ? limits.takeoverMillis : (parts.waitMillis ?? 0);
      const left = waitMillis - (clock.monotonicMillis() - claimedAt);
      if (left > 0) {
        waitingFor =
          "the name server has taken over, and waits until the one before cannot believe any more that it may serve";
        await sleep(clock, left, stopping.signal);
        waitingFor = undefined;
      }
    },

    serve() {
      isServing = true;
      serving?.();
    },

    async leftOut(node) {
      const end = clock.monotonicMillis() + leaveMillis;
      const isNeeded = (): boolean => copies.registers.some((register) => isNamedIn(register, node));
      await until(() => !isNeeded() || clock.monotonicMillis() >= end);
      if (!isNeeded()) return;
      throw new FsError(
        "EBUSY",
        `the copies of the name server's journal still need storage node ${node}: wait until others have them, and half of ` +
          "the storage nodes answer (see dfs status)",
      );
    },

    status() {
      const { register } = copies;
      return {
        epoch: copies.claim.epoch,
        generation: register?.generation ?? 0,
        nodes: register?.nodes.length ?? 0,
        needed: storeQuorum(register?.nodes.length ?? 0),
        serving: service.isOpen,
        ...copies.describe(),
      };
    },

    warnings() {
      const found: string[] = [];
      if (waitingFor !== undefined) found.push(waitingFor);
      const { awaited } = copies.describe();
      const complete = copies.register?.members.length ?? 0;
      const n = copies.register?.nodes.length ?? 0;
      if (isServing && !copies.isConfirmed) {
        const missing = copies.confirmations.missing(copies.register?.nodes.map(({ node }) => node) ?? []);
        found.push(
          `everything waits: fewer than ${String(storeQuorum(n))} of ${String(n)} storage nodes have confirmed this name ` +
            `server in the last seconds; silent: ${missing.join(", ")}` +
            (parts.loss === undefined
              ? ""
              : `. If they are lost for ever with all that they know: stop the name server, ${parts.loss.how}, start it again`),
        );
      } else if (awaited.length > 0)
        found.push(`changes wait for the journal copy on storage node ${awaited.join(", ")}`);
      if (isRunning && parts.replicas > 1 && complete < parts.replicas - 1)
        found.push(
          `the journal has ${String(complete + 1)} of ${String(parts.replicas)} copies: ` +
            (n === 0 ? "there are no storage nodes yet" : "more storage nodes are needed, or one is still copying"),
        );
      return found;
    },

    close() {
      stopping.abort(new FsError("ECANCELED", "the name server stops"));
      timer?.cancel();
      waiters = [];
      copies.close();
    },
  };
  return service;
}
