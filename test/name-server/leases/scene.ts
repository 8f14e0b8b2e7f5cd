/** A lease table with a few sessions and inodes, for tests that tell one short story. Tasks are names. */
import { toIno, type SessionId } from "../../../src/base/ids.ts";
import type { LeaseGrant, LeaseScope } from "../../../src/protocol/leases.ts";
import { createLeaseTable } from "../../../src/name-server/leases/table.ts";
import type { Effects, LeaseBounds, LeaseRequest, LeaseTable, Want } from "../../../src/name-server/leases/types.ts";

export const [a, b, c] = ["000000000000000a", "000000000000000b", "000000000000000c"] as [
  SessionId,
  SessionId,
  SessionId,
];
export const [one, two, three] = [toIno(11), toIno(12), toIno(13)];
export const attributes: LeaseScope = { kind: "attributes" };
export const everything: LeaseScope = { kind: "everything" };

export function reading(ino: Want["ino"], level: Want["level"] = "shared", more: Partial<Want> = {}): Want {
  return { ino, level, ...more };
}
export function changing(
  ino: Want["ino"],
  level: Want["level"] = "none",
  changes: readonly LeaseScope[] = [attributes],
): Want {
  return { ino, level, changes };
}

export interface Scene {
  readonly table: LeaseTable<string>;
  now: number;
  /** What has happened since it was last asked for: "a: recall 11 to shared", "run read". */
  events(): string[];
  /** Asks; a request that may run stays ready until `complete`. */
  ask(session: SessionId, task: string, ...wants: Want[]): LeaseRequest<string>;
  complete(request: LeaseRequest<string>): readonly LeaseGrant[];
  /** Asks for something that nobody minds, and completes it. */
  take(session: SessionId, ...wants: Want[]): readonly LeaseGrant[];
  act(effects: Effects<string>): void;
  /** The number of the last recall of a session. */
  recallOf(session: SessionId): number;
  acknowledge(session: SessionId, ino: Want["ino"]): void;
}

export function createScene(bounds?: Partial<LeaseBounds>): Scene {
  const table = createLeaseTable<string>(bounds);
  const numbers = new Map<SessionId, number>();
  let log: string[] = [];
  const scene: Scene = {
    table,
    now: 1_000_000,
    events() {
      const all = log;
      log = [];
      return all;
    },
    act({ recalls, ends, runs }) {
      for (const { session, recall } of recalls) {
        numbers.set(session, recall.number);
        const dropped = recall.drop.map((scope) => (scope.kind === "entry" ? `entry ${scope.name}` : scope.kind));
        log.push(`${session.slice(-1)}: ${[String(recall.ino), "to", recall.to, ...dropped].join(" ")}`);
      }
      for (const session of ends) log.push(`end ${session.slice(-1)}`);
      for (const { task } of runs) log.push(`run ${task}`);
    },
    ask(session, task, ...wants) {
      const { request, effects } = table.request({ session, wants, task }, scene.now);
      scene.act(effects);
      return request;
    },
    complete(request) {
      const { grants, effects } = table.complete(request, scene.now);
      scene.act(effects);
      return grants;
    },
    take(session, ...wants) {
      const request = scene.ask(session, "take", ...wants);
      const grants = scene.complete(request);
      log = log.filter((line) => line !== "run take");
      return grants;
    },
    recallOf: (session) => numbers.get(session) ?? 0,
    acknowledge(session, ino) {
      scene.act(table.acknowledged(session, ino, scene.recallOf(session), scene.now));
    },
  };
  return scene;
}

export function levels(grants: readonly LeaseGrant[]): string[] {
  return grants.map(({ ino, level }) => `${String(ino)} ${level}`);
}
