/**
 * `dfs replicas set|get`: a short session with the name server, so that the machines that have the file cached are told
 * as of any other change.
 */
import { realpathSync } from "node:fs";
import { isDirectory } from "../base/attributes.ts";
import type { Ino } from "../base/ids.ts";
import { silentLog } from "../base/log.ts";
import { nameFromText, type Name } from "../base/name.ts";
import type { NameServerMethods } from "../protocol/name-server.ts";
import { connectInPassing, inSession, resolveNames, type Server } from "../remote/passing-client.ts";
import type { Address, ReplyOf } from "../rpc/types.ts";
import { CommandFailure } from "./failure.ts";
import { mountAbove, serversOf } from "./mounts.ts";
import { createSurroundings } from "./surroundings.ts";
import { formatBytes, parseAddresses } from "./usage.ts";

type Part = ReplyOf<NameServerMethods, "getReplicas">["parts"][number];

/** Names from the root of a filesystem on. */
interface Place {
  readonly addresses: readonly Address[];
  readonly names: readonly Name[];
}

export function setReplicas(copies: number, path: string, secretFile: string | undefined): Promise<void> {
  return atPath(path, secretFile, async (server, ino) => {
    const caller = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
    await server.call("setReplicas", { op: { slot: 0, sequence: 1 }, caller, ino, replicas: copies });
  });
}

export function describeReplicas(path: string, secretFile: string | undefined): Promise<string> {
  return atPath(path, secretFile, async (server, ino) => {
    const { attributes } = (await server.call("getattr", { ino })).reply;
    const parts: Part[] = [];
    let inlineBytes = 0;
    for (let offset = 0; ;) {
      const { reply } = await server.call("getReplicas", { ino, offset });
      inlineBytes += reply.inlineBytes;
      for (const part of reply.parts) addTo(parts, part);
      if (reply.next === null)
        return textOf({ ...reply, parts, inlineBytes, isDirectory: isDirectory(attributes.mode) });
      offset = reply.next;
    }
  });
}

function addTo(parts: Part[], part: Part): void {
  const known = parts.find(({ copies, present }) => copies === part.copies && present === part.present);
  if (known === undefined) parts.push({ ...part });
  else known.bytes += part.bytes;
}

export function textOf(found: {
  readonly wanted: number;
  readonly isOwn: boolean;
  readonly isConverting: boolean;
  readonly isDirectory: boolean;
  readonly parts: readonly Part[];
  readonly inlineBytes: number;
}): string {
  const { wanted, isOwn, isConverting, parts, inlineBytes } = found;
  const lines = [`wanted  ${copiesText(wanted)}${isOwn ? "" : " (the cluster's default)"}`];
  for (const { copies, present, bytes } of [...parts].sort((a, b) => a.present - b.present)) {
    const missing = present < copies ? ` of ${String(copies)}, the other nodes are down or still copying` : "";
    lines.push(`now     ${copiesText(present)}${missing}: ${formatBytes(bytes)}`);
  }
  if (inlineBytes > 0) lines.push(`now     with the metadata, in its copies: ${formatBytes(inlineBytes)}`);
  if (isConverting) lines.push(found.isDirectory ? "what is in it is being converted" : "being converted");
  return lines.join("\n") + "\n";
}

function copiesText(copies: number): string {
  return copies === 1 ? "1 copy" : `${String(copies)} copies`;
}

async function atPath<T>(
  path: string,
  secretFile: string | undefined,
  run: (server: Server, ino: Ino) => Promise<T>,
): Promise<T> {
  try {
    const { addresses, names } = placeOf(path);
    const surroundings = createSurroundings(silentLog, { secretFile });
    const server = await connectInPassing(surroundings, { addresses, id: `replicas-${String(process.pid)}` });
    return await inSession(server, `dfs replicas, process ${String(process.pid)}`, async () =>
      run(server, await resolveNames(server, names)),
    );
  } catch (cause) {
    if (cause instanceof CommandFailure) throw cause;
    throw new CommandFailure(`${path}: ${(cause as Error).message}`, { cause });
  }
}

/** `HOST:PORT:/path` (several HOST:PORT, separated by commas) is one of the filesystem itself; any other is looked for in a mount on this machine. */
function placeOf(path: string): Place {
  const remote = /^(\S*:\d{1,5}):(\/.*)$/.exec(path);
  if (remote !== null) return { addresses: parseAddresses(remote[1] ?? ""), names: namesOf(remote[2] ?? "") };
  const whole = realpathSync(path);
  const mount = mountAbove(whole);
  if (mount === undefined)
    throw new CommandFailure(`${path} is not in a dfs mount (HOST:PORT:/path names one elsewhere)`);
  return {
    addresses: serversOf(mount.mountPoint, parseAddresses(mount.source)),
    names: namesOf(whole.slice(mount.mountPoint.length)),
  };
}

function namesOf(path: string): Name[] {
  return path
    .split("/")
    .filter((part) => part !== "" && part !== ".")
    .map(nameFromText);
}
