/** `dfs fsck`: has the name server check itself, prints what it finds a line each, ends with fsck(8)'s status. */
import { resolve } from "node:path";
import { silentLog } from "../base/log.ts";
import { nameFromText, type Name } from "../base/name.ts";
import type { Found, FsckSummary } from "../protocol/check-methods.ts";
import type { Address } from "../rpc/types.ts";
import { CommandFailure } from "./failure.ts";
import { mountAbove, serversOf } from "./mounts.ts";
import { connectAsOperator } from "./operator.ts";
import { createSurroundings } from "./surroundings.ts";
import { formatAddresses, parseAddresses } from "./usage.ts";

const fsckStatus = { clean: 0, corrected: 1, errorsLeft: 4, failed: 8 } as const;

export interface FsckCommand {
  readonly path: string | undefined;
  readonly repair: boolean;
  readonly data: boolean;
  readonly nameServer?: readonly Address[];
  readonly secretFile?: string;
}

export async function runFsck(command: FsckCommand): Promise<number> {
  const { addresses, path } = whatToCheck(command);
  const surroundings = createSurroundings(silentLog, { secretFile: command.secretFile });
  try {
    const peer = await connectAsOperator(surroundings, addresses, "fsck");
    await peer.call("fsckStart", { repair: command.repair, data: command.data, path });
    for (;;) {
      const { found, end } = (await peer.call("fsckNext", {})).reply;
      for (const one of found) process.stdout.write(lineOf(one));
      if (end === null) continue;
      process.stdout.write(summaryOf(end));
      peer.close("done");
      return statusOf(end);
    }
  } catch (cause) {
    throw new CommandFailure(`${formatAddresses(addresses)} was not checked: ${(cause as Error).message}`, {
      status: fsckStatus.failed,
      cause,
    });
  }
}

/** A path in a mount is one of the filesystem that is mounted there; any other is one of the filesystem itself. */
function whatToCheck({ path, nameServer }: FsckCommand): { addresses: readonly Address[]; path: Name[] } {
  const fallback = nameServer ?? [{ host: "127.0.0.1", port: 7400 }];
  if (path === undefined) return { addresses: fallback, path: [] };
  const whole = resolve(path);
  const mount = mountAbove(whole);
  if (mount === undefined) return { addresses: fallback, path: namesOf(path) };
  return {
    addresses: nameServer ?? serversOf(mount.mountPoint, parseAddresses(mount.source)),
    path: namesOf(whole.slice(mount.mountPoint.length)),
  };
}

function namesOf(path: string): Name[] {
  return path
    .split("/")
    .filter((part) => part !== "" && part !== ".")
    .map(nameFromText);
}

export function lineOf({ state, paths, text }: Found): string {
  const about = paths.length === 0 ? "" : `${paths.join(", ")}: `;
  return `${state === "error" ? "" : `${state}: `}${about}${text}\n`;
}

export function summaryOf({ inodes, extents, blocks, errors, repaired, notes }: FsckSummary): string {
  const looked = `${String(inodes)} inodes, ${String(extents)} extents, ${String(blocks)} blocks`;
  const told = notes === 0 ? "" : `, ${String(notes)} notes`;
  if (errors === 0 && repaired === 0) return `clean: ${looked}${told}\n`;
  return `${String(errors)} errors left, ${String(repaired)} corrected${told}: ${looked}\n`;
}

export function statusOf({ errors, repaired }: FsckSummary): number {
  if (errors > 0) return fsckStatus.errorsLeft;
  return repaired > 0 ? fsckStatus.corrected : fsckStatus.clean;
}
