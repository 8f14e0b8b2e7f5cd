/** How far each storage node's scrub is, and what it has found, for people. */
import type { Clock } from "../base/clock.ts";
import type { StatusReply } from "../protocol/status.ts";
import { table } from "./text-table.ts";
import { formatBytes } from "./usage.ts";

/** A line for each node: for `dfs scrub` and `dfs status`. */
export function scrubTable(nodes: StatusReply["nodes"], clock: Clock): string[] {
  const now = Number(clock.wallNanos() / 1_000_000n);
  return table(
    ["NODE", "VERIFIED", "LAST WHOLE PASS", "DAMAGED", "REPAIRED", "LEFT"],
    nodes.map(({ id, scrub }) => {
      if (scrub === undefined) return [id, "-"];
      const { bytes, ofBytes, isRunning, lastPassMillis } = scrub;
      return [
        id,
        isRunning ? `${formatBytes(bytes)} of ${formatBytes(ofBytes)}` : "resting",
        lastPassMillis === null ? "never" : ago((now - lastPassMillis) / 1000),
        ...[scrub.found, scrub.repaired, scrub.left].map(String),
      ];
    }),
  );
}

function ago(seconds: number): string {
  if (seconds < 120) return `${Math.max(0, seconds).toFixed(0)} s ago`;
  if (seconds < 7_200) return `${(seconds / 60).toFixed(0)} min ago`;
  return seconds < 172_800 ? `${(seconds / 3_600).toFixed(0)} h ago` : `${(seconds / 86_400).toFixed(0)} days ago`;
}
