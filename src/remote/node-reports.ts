/**
 * Tells the name server about storage nodes that fail. Fire and forget; the same problem is told once in a while only,
 * and of many different ones at a time only the first few.
 */
import type { Clock } from "../base/clock.ts";
import { blockName, type BlockId, type NodeId } from "../base/ids.ts";
import type { Log } from "../base/log.ts";
import type { NameServer } from "./types.ts";

export type NodeProblem = "unreachable" | "corrupt" | "missing" | "full";

export interface NodeReports {
  report(node: NodeId, problem: NodeProblem, block?: BlockId): void;
}

const repeatMillis = 5_000;
/** Different problems within `repeatMillis`. */
const problemsMax = 256;
const answerMillis = 10_000;

export function createNodeReports(options: {
  nameServer: Pick<NameServer, "ask">;
  clock: Clock;
  log: Log;
}): NodeReports {
  const { nameServer, clock, log } = options;
  /** When each was told last, oldest first. */
  const told = new Map<string, number>();
  return {
    report(node, problem, block) {
      const isAboutBlock = block !== undefined && (problem === "corrupt" || problem === "missing");
      const key = `${node} ${problem} ${isAboutBlock ? blockName(block) : ""}`;
      const now = clock.monotonicMillis();
      for (const [old, at] of told) {
        if (now - at < repeatMillis) break;
        told.delete(old);
      }
      if (told.has(key) || told.size >= problemsMax) return;
      told.set(key, now);
      const request = isAboutBlock ? { node, problem, block } : { node, problem };
      nameServer.ask("reportNode", request, { deadlineMillis: answerMillis }).catch((error: unknown) => {
        log.debug({ node, problem, err: error }, "the name server was not told about a storage node");
      });
    },
  };
}
