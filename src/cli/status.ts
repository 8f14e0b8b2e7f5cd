/** `dfs status`: asks the name server, prints a page for people or JSON for programs. */
import { colors } from "./colors.ts";
import { systemClock } from "../base/clock.ts";
import { silentLog } from "../base/log.ts";
import { type StatusReply } from "../protocol/status.ts";
import type { Address } from "../rpc/types.ts";
import { CommandFailure } from "./failure.ts";
import { journalLine } from "./journal-line.ts";
import { scrubTable } from "./scrub-table.ts";
import { connectAsOperator } from "./operator.ts";
import { createSurroundings } from "./surroundings.ts";
import { table } from "./text-table.ts";
import { formatAddresses, formatBytes } from "./usage.ts";

export async function fetchStatus(addresses: readonly Address[], secretFile: string | undefined): Promise<StatusReply> {
  const surroundings = createSurroundings(silentLog, { secretFile });
  try {
    const peer = await connectAsOperator(surroundings, addresses, "status");
    const { reply } = await peer.call("status", {});
    peer.close("done");
    return reply.status as StatusReply;
  } catch (cause) {
    throw new CommandFailure(`no name server answers at ${formatAddresses(addresses)}: ${(cause as Error).message}`, {
      cause,
    });
  }
}

export function formatStatus(status: StatusReply): string {
  const { capacity, groups } = status;
  const lines = [
    `cluster ${status.cluster}, version ${status.version}, epoch ${String(status.epoch)}, up ${seconds(status.uptimeSeconds)}`,
    `space   ${formatBytes(capacity.availableBytes)} free for files (${String(status.replicas)} copies of everything); ` +
      `raw: ${formatBytes(capacity.usedBytes)} of ${formatBytes(capacity.totalBytes)} used`,
    `files   ${String(status.files)}`,
    `groups  ${String(groups.healthy)} healthy, ${String(groups.degraded)} degraded, ${String(groups.lost)} lost` +
      repairLine(status.repair) +
      (status.repair.lostBlocks > 0 ? `, ${String(status.repair.lostBlocks)} blocks lost` : "") +
      (status.reclaim.queuedBlocks > 0 ? `; ${String(status.reclaim.queuedBlocks)} blocks to delete` : "") +
      (status.conversions.queued > 0 ? `; copies of ${String(status.conversions.queued)} files to change` : ""),
    ...journalLine(status),
    `meta    ${verifiedText(status.metadata)}`,
    "",
    ...nodeTable(status.nodes),
    "",
    ...scrubTable(status.nodes, systemClock),
    "",
    ...table(
      ["SESSION", "CLIENT", "STATE"],
      status.sessions.map((session) => [
        session.id,
        session.client,
        session.connected ? "connected" : `gone ${seconds(session.idleMillis / 1000)}`,
      ]),
    ),
    ...status.warnings.map((warning) => colors.yellow(`! ${warning}`)),
  ];
  return lines.join("\n") + "\n";
}

export function formatNodes(nodes: StatusReply["nodes"]): string {
  return nodeTable(nodes).join("\n") + "\n";
}

function nodeTable(nodes: StatusReply["nodes"]): string[] {
  return table(
    ["NODE", "ADDRESS", "STATE", "GROUPS", "USED", "FREE", "BLOCKS"],
    nodes.map((node) => [
      node.id,
      node.address,
      nodeState(node),
      String(node.groups),
      formatBytes(node.usedBytes),
      formatBytes(node.freeBytes),
      String(node.blocks),
    ]),
  );
}

function nodeState({ state, silentMillis }: StatusReply["nodes"][number]): string {
  switch (state) {
    case "up":
      return colors.green(state);
    case "draining":
      return colors.yellow(state);
    case "down":
      return colors.red(`down ${seconds(silentMillis / 1000)}`);
    case "out":
    case "removed":
      return colors.red(state);
  }
}

function repairLine(repair: StatusReply["repair"]): string {
  if (repair.groupsWaiting === 0) return "";
  const { bytesToGo, bytesPerSecond, secondsLeft } = repair;
  const rate = secondsLeft === null ? "" : `, ${formatBytes(bytesPerSecond)}/s, ${seconds(secondsLeft)} left`;
  return `; repair of ${String(repair.groupsWaiting)}: ${formatBytes(bytesToGo)} to go${rate}`;
}

function verifiedText({ verifiedBytes, verifiedMillisAgo, damageReplaced }: StatusReply["metadata"]): string {
  const verified =
    verifiedMillisAgo === null
      ? "never verified yet"
      : `${formatBytes(verifiedBytes)} verified ${seconds(verifiedMillisAgo / 1000)} ago`;
  return damageReplaced === 0 ? verified : `${verified}; damage on the disk replaced ${String(damageReplaced)} times`;
}

function seconds(value: number): string {
  return value < 120 ? `${value.toFixed(0)} s` : `${(value / 60).toFixed(0)} min`;
}
