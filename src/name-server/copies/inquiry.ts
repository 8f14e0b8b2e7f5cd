/**
 * Whose the cluster is, asked by a server that too few nodes confirm: one that was cut off while another server took over
 * hears nothing of that from its nodes, which have gone over to that one.
 *
 * Concludes as a start does: from as many nodes as have to store a register, so that one of them knows of a takeover.
 */
import type { Clock } from "../../base/clock.ts";
import { FsError } from "../../base/errno.ts";
import type { NodeId } from "../../base/ids.ts";
import { limits } from "../../base/limits.ts";
import type { JournalState } from "../../protocol/journal-methods.ts";
import { areEnough, newestRegister } from "./register.ts";
import { takenOver } from "./taken-over.ts";
import type { ConnectNode, CopyNode } from "./types.ts";

export interface InquiryOptions {
  readonly clock: Clock;
  readonly connect: ConnectNode;
  /** The id of this server's folder. */
  readonly server: string;
  readonly nodes: () => readonly Pick<CopyNode, "node" | "address">[];
  /** Told again each time that it asks. */
  readonly onTakenOver: (error: FsError) => Promise<void>;
}

export class Inquiry {
  readonly #options: InquiryOptions;
  #isAsking = false;
  #askAt: number | undefined;

  constructor(options: InquiryOptions) {
    this.#options = options;
  }

  /** Now and then: asks when the server has not been sure for a while. */
  tick(isSure: boolean): void {
    const now = this.#options.clock.monotonicMillis();
    if (isSure) this.#askAt = undefined;
    else this.#askAt ??= now + limits.askNodesMillisMax;
    if (this.#isAsking || now < (this.#askAt ?? Infinity)) return;
    this.#isAsking = true;
    void this.#ask()
      .catch(() => undefined)
      .finally(() => {
        this.#isAsking = false;
        this.#askAt = undefined;
      });
  }

  async #ask(): Promise<void> {
    const { nodes, server, onTakenOver } = this.#options;
    const answers = await Promise.allSettled(nodes().map((node) => this.#askOne(node)));
    const states = answers.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value] : []));
    const register = newestRegister(states.map((state) => state.register));
    if (register === undefined || register.server === server) return;
    const heard = new Set<NodeId>(states.map(({ node }) => node));
    if (areEnough(heard, [register])) await onTakenOver(takenOver(register));
  }

  /** Rejects when another node is there by now, perhaps of another cluster. */
  async #askOne({ node, address }: Pick<CopyNode, "node" | "address">): Promise<JournalState> {
    const peer = await this.#options.connect(address);
    try {
      const { reply } = await peer.call("journalState", {}, { deadlineMillis: limits.connectMillis });
      if (reply.node !== node) throw new FsError("EHOSTUNREACH", `there is node ${reply.node} instead of ${node}`);
      return reply;
    } finally {
      peer.close("done");
    }
  }
}
