/**
 * Which process serves which mount point, and which servers it uses: small files per mount in a runtime folder, because
 * the kernel does not tell, and because a name server may have taken over since the mount was made.
 * Also what /proc knows of mounts; reading it never touches the mount itself.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import type { KnownServers } from "../remote/types.ts";
import type { Address } from "../rpc/types.ts";
import { livingProcess, writePidFile } from "./daemon.ts";
import type { ProcessIdentity } from "./processes.ts";

export const runtimeFolder = "/run/dfs";

export function recordMount(mountPoint: string): { forget(): void } {
  mkdirSync(runtimeFolder, { recursive: true, mode: 0o755 });
  const path = recordPath(mountPoint);
  writePidFile(path, process.pid);
  return {
    forget: () => {
      rmSync(path, { force: true });
      rmSync(serversPath(mountPoint), { force: true });
    },
  };
}

/** Where the client of this mount finds its servers now. */
export function recordServers(mountPoint: string, { address, nodes }: KnownServers): void {
  const path = serversPath(mountPoint);
  mkdirSync(runtimeFolder, { recursive: true, mode: 0o755 });
  writeFileSync(`${path}.new`, JSON.stringify([address, ...nodes]));
  renameSync(`${path}.new`, path);
}

/** Where to look for the name server of a mount: where its client found it, where it was told to look, storage nodes. */
export function serversOf(mountPoint: string, told: readonly Address[]): readonly Address[] {
  const path = serversPath(mountPoint);
  if (!existsSync(path)) return told;
  const [last, ...nodes] = JSON.parse(readFileSync(path, "utf8")) as Address[];
  return [...(last === undefined ? [] : [last]), ...told, ...nodes];
}

/** The living dfs process that serves this mount point. */
export function mountServer(mountPoint: string): ProcessIdentity | undefined {
  return livingProcess(recordPath(mountPoint));
}

function recordPath(mountPoint: string): string {
  return `${runtimeFolder}/mount-${digestOf(mountPoint)}.pid`;
}

function serversPath(mountPoint: string): string {
  return `${runtimeFolder}/mount-${digestOf(mountPoint)}.servers`;
}

function digestOf(mountPoint: string): string {
  return createHash("sha256").update(resolve(mountPoint)).digest("hex").slice(0, 16);
}

export interface MountEntry {
  readonly source: string;
  readonly mountPoint: string;
  readonly type: string;
}

/** The topmost mount at exactly this path, from /proc/self/mounts. */
export function mountAt(mountPoint: string): MountEntry | undefined {
  const wanted = resolve(mountPoint);
  return mountTable().findLast((entry) => entry.mountPoint === wanted);
}

/** The dfs mount that this absolute path is in, if the innermost mount above it is one. */
export function mountAbove(path: string): MountEntry | undefined {
  let found: MountEntry | undefined;
  for (const entry of mountTable()) {
    const { mountPoint } = entry;
    const isAbove = path === mountPoint || path.startsWith(mountPoint === "/" ? "/" : `${mountPoint}/`);
    if (isAbove && mountPoint.length >= (found?.mountPoint.length ?? 0)) found = entry;
  }
  return found?.type.startsWith("fuse.dfs") === true ? found : undefined;
}

function mountTable(): MountEntry[] {
  return readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" "))
    .map(([source = "", path = "", type = ""]) => ({ source: unescape(source), mountPoint: unescape(path), type }));
}

/** Spaces and the like stand as \040 in /proc/self/mounts. */
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_match, octal: string) => String.fromCharCode(parseInt(octal, 8)));
}
