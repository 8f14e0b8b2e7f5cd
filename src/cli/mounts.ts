/**
 * Which process serves which mount point: a small file per mount in a runtime folder, because the kernel tells neither.
 * Also what /proc knows of mounts; reading it never touches the mount itself.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { resolve } from "node:path";
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
    },
  };
}

/** The living dfs process that serves this mount point. */
export function mountServer(mountPoint: string): ProcessIdentity | undefined {
  return livingProcess(recordPath(mountPoint));
}

function recordPath(mountPoint: string): string {
  const digest = createHash("sha256").update(resolve(mountPoint)).digest("hex").slice(0, 16);
  return `${runtimeFolder}/mount-${digest}.pid`;
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
