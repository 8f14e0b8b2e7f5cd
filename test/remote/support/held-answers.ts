/** Connections whose calls are answered when a test says so, in any order, also after they should have broken. */
import type { FsError } from "../../../src/base/errno.ts";
import type { Attributes } from "../../../src/base/attributes.ts";
import { toIno, type Ino } from "../../../src/base/ids.ts";
import { nameFromText } from "../../../src/base/name.ts";
import type { AheadEntry } from "../../../src/protocol/ahead.ts";
import type { LeaseGrant } from "../../../src/protocol/leases.ts";
import { AheadQueue, type AheadEvents } from "../../../src/remote/ahead-log.ts";
import type { ServerPeer } from "../../../src/remote/server-link.ts";
import { SimulatedClock } from "../../support/simulated-clock.ts";

export interface HeldCall {
  readonly method: string;
  readonly request: { readonly sequence: number; readonly entries: readonly AheadEntry[] };
  readonly answer: (reply?: { attributes?: Attributes[]; leases?: LeaseGrant[] }) => void;
  readonly refuse: (error: FsError) => void;
}

export class HeldPeer {
  readonly calls: HeldCall[] = [];

  get asPeer(): ServerPeer {
    const call = (method: string, request: HeldCall["request"]): Promise<unknown> =>
      new Promise((resolve, reject) => {
        const answer: HeldCall["answer"] = ({ attributes = [], leases = [] } = {}) => {
          resolve({ reply: { attributes, leases } });
        };
        this.calls.push({ method, request, answer, refuse: reject });
      });
    this.#peer ??= { call } as unknown as ServerPeer;
    return this.#peer;
  }

  #peer: ServerPeer | undefined;

  get sequences(): number[] {
    return this.calls.map(({ request }) => request.sequence);
  }

  /** How many entries each batch had. */
  get sizes(): number[] {
    return this.calls.map(({ request }) => request.entries.length);
  }

  /** The names in the entries, in the order in which they arrived. */
  get names(): string[] {
    return this.calls.flatMap(({ request }) => request.entries.map(nameOf));
  }

  at(index: number): HeldCall {
    const call = this.calls.at(index);
    if (call === undefined) throw new Error(`no call ${String(index)} of ${String(this.calls.length)}`);
    return call;
  }
}

function nameOf({ request }: AheadEntry): string {
  return "name" in request ? request.name : String(request.ino);
}

/** An entry that is told from others by its name. */
export function entryOf(name: string): AheadEntry {
  const request = { caller: { uid: 0, gid: 0 }, parent: toIno(1), name: nameFromText(name), umask: 0, mode: 0o644 };
  return { method: "create", time: 5n, ino: toIno(1_000), request };
}

/** An entry about an inode that is there. */
export function setattrOf(ino: Ino): AheadEntry {
  return { method: "setattr", time: 5n, request: { caller: { uid: 0, gid: 0 }, ino, mode: 0o600 } };
}

export interface TestLog {
  readonly log: AheadQueue;
  readonly clock: SimulatedClock;
  readonly peer: HeldPeer;
  /** What the log told, as lines. */
  readonly told: string[];
  readonly broken: ServerPeer[];
}

export function testLog({ moment = () => 0 }: Partial<AheadEvents> = {}): TestLog {
  const clock = new SimulatedClock();
  const peer = new HeldPeer();
  const told: string[] = [];
  const broken: ServerPeer[] = [];
  const log = new AheadQueue({
    clock,
    events: {
      moment,
      onApplied(attributes, leases, asked) {
        const inos = attributes.map(({ ino }) => ino).join(" ");
        told.push(`applied ${inos} / ${leases.map(({ ino }) => ino).join(" ")} / ${String(asked)}`);
      },
      onLost(error) {
        told.push(`lost: ${error.message}`);
      },
    },
    broken: (which) => {
      broken.push(which);
    },
  });
  log.connected(peer.asPeer);
  return { log, clock, peer, told, broken };
}

/** How a promise stands: it may settle between two looks. */
export function watched(promise: Promise<unknown>): { state: string } {
  const seen = { state: "waiting" };
  promise.then(
    () => {
      seen.state = "resolved";
    },
    (error: unknown) => {
      seen.state = (error as Error).message.split(":", 1)[0] ?? "";
    },
  );
  return seen;
}
