/**
 * Connections to the other storage nodes, for the chain of a write and for copies: one per node, opened at the first block for it, kept,
 * opened again after it broke. A bounded number: the one unused for the longest makes way.
 */
import { errnoOf, FsError } from "../base/errno.ts";
import type { NodeId } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import type { StorageNodeMethods } from "../protocol/storage-node.ts";
import type { Address, Payload, Peer, RequestOf } from "../rpc/types.ts";

export type NodePeer = Peer<StorageNodeMethods>;
type WriteBlock = RequestOf<StorageNodeMethods, "writeBlock">;

export interface ChainMember {
  readonly node: NodeId;
  readonly address: Address;
}

interface Link {
  readonly address: Address;
  readonly opening: Promise<NodePeer>;
  isNew: boolean;
}

/** How long the next node may take, for itself and those behind it: less than the writer waits for this one. */
const forwardMillis = 4_000;
const forwardMillisPerMiB = 3_000;
/** Each further node of the chain gets so much more. */
const forwardShare = 0.15;

export class Neighbours {
  readonly #connect: (member: ChainMember) => Promise<NodePeer>;
  /** In the order of use. */
  readonly #links = new Map<NodeId, Link>();
  #isClosed = false;

  /** `connect` is bounded in time and refuses a node with another id. */
  constructor(connect: (member: ChainMember) => Promise<NodePeer>) {
    this.#connect = connect;
  }

  /**
   * Has the first member of `chain` store the block and forward it to the others. Borrows `bytes` until it settles.
   * Rejects with an error that names the node that failed: ENOSPC, EAGAIN, EEXIST as that one said, else EIO.
   */
  async forward(
    chain: readonly ChainMember[],
    write: Omit<WriteBlock, "forward">,
    bytes: Payload["bytes"],
  ): Promise<void> {
    const [next, ...rest] = chain as [ChainMember, ...ChainMember[]];
    const patience = forwardMillis + (write.length / 2 ** 20) * forwardMillisPerMiB;
    const deadlineMillis = patience * (1 + forwardShare * rest.length);
    const request = { ...write, forward: rest };
    try {
      await this.ask(next, (peer) => peer.call("writeBlock", request, { payload: [bytes], deadlineMillis }));
    } catch (cause) {
      throw failureOf(next.node, cause);
    }
  }

  /**
   * Calls a node over its connection, which is opened when there is none. Once more when the node was restarted since
   * the last call: `call` must be harmless when it is done twice. Rejects as the call or the connecting does.
   */
  async ask<T>(member: ChainMember, call: (peer: NodePeer) => Promise<T>): Promise<T> {
    for (;;) {
      const link = this.#link(member);
      const wasNew = link.isNew;
      link.isNew = false;
      try {
        return await call(await link.opening);
      } catch (error) {
        if (wasNew || errnoOf(error) !== "ECONNRESET" || this.#isClosed) throw error;
      }
    }
  }

  get size(): number {
    return this.#links.size;
  }

  close(): void {
    this.#isClosed = true;
    for (const node of [...this.#links.keys()]) this.#drop(node, "this node stops");
  }

  #link(member: ChainMember): Link {
    const { node, address } = member;
    if (this.#isClosed) throw new FsError("ECONNRESET", "this node stops");
    let link = this.#links.get(node);
    if (link !== undefined && (link.address.host !== address.host || link.address.port !== address.port)) {
      this.#drop(node, "the node has moved");
      link = undefined;
    }
    if (link === undefined) {
      link = this.#open(member);
      const oldest = this.#links.size >= limits.neighboursMax ? this.#links.keys().next() : undefined;
      if (oldest?.done === false) this.#drop(oldest.value, "unused for long");
    } else this.#links.delete(node);
    this.#links.set(node, link);
    return link;
  }

  #open(member: ChainMember): Link {
    const link: Link = { address: member.address, opening: this.#connect(member), isNew: true };
    const forget = (): void => {
      if (this.#links.get(member.node) === link) this.#links.delete(member.node);
    };
    link.opening.then((peer) => void peer.closed.then(forget), forget);
    return link;
  }

  #drop(node: NodeId, reason: string): void {
    const link = this.#links.get(node);
    this.#links.delete(node);
    link?.opening.then(
      (peer) => {
        peer.close(reason);
      },
      () => undefined,
    );
  }
}

/** What this node's caller hears: "failed" and the id of the node at fault, which may be one further down. */
const namesNode = /failed: node [0-9a-f]{16}\b/;

function failureOf(next: NodeId, cause: unknown): FsError {
  const said = cause instanceof Error ? cause.message : String(cause);
  const errno = errnoOf(cause);
  const isPassedOn = errno === "ENOSPC" || errno === "EAGAIN" || errno === "EEXIST";
  const text = namesNode.test(said) ? said.replace(/^E[A-Z0-9]+: /, "") : `the chain failed: node ${next}: ${said}`;
  return new FsError(isPassedOn ? errno : "EIO", text, { cause });
}
