/** A real disk, an ext4 of its own in an image file, that can be filled to its last byte. Needs root and mkfs.ext4. */
import { spawnSync } from "node:child_process";
import { cpSync, renameSync, symlinkSync } from "node:fs";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ExecutionContext } from "ava";
import type { Cluster } from "./cluster.ts";

const MiB = 1024 * 1024;

function run(command: string, ...args: string[]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: "utf8", timeout: 30_000 });
  if (status !== 0) throw new Error(`${command}: ${stderr}`);
}

/** Its mount point; gone after the test. */
export async function smallDisk(t: ExecutionContext, size = "160M"): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "dfs-small-disk-"));
  const image = join(folder, "image");
  const mount = join(folder, "disk");
  run("truncate", "-s", size, image);
  run("mkfs.ext4", "-q", "-m", "0", image);
  run("mkdir", mount);
  run("mount", "-o", "loop", image, mount);
  t.teardown(async () => {
    run("umount", "-l", mount);
    await rm(folder, { recursive: true, force: true });
  });
  return mount;
}

/** Takes every byte that is left. */
export async function fillDisk(path: string): Promise<void> {
  const file = await open(path, "w");
  for (let bytes = MiB; bytes >= 1024;) {
    try {
      await file.write(Buffer.alloc(bytes, 1));
      await file.datasync();
    } catch {
      bytes /= 2;
    }
  }
  await file.close();
}

/** The process goes on with its folder on that disk. */
export function moveTo(cluster: Cluster, name: string, disk: string): void {
  cluster.kill(name);
  const folder = join(cluster.dir, name);
  cpSync(folder, join(disk, "data"), { recursive: true });
  renameSync(folder, `${folder}-before`);
  symlinkSync(join(disk, "data"), folder);
}

/** Looks twice a second. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let waited = 0; !(await isSo()); waited += 500) {
    if (waited > 120_000) throw new Error(`not within two minutes: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

export const canMakeDisks = process.getuid?.() === 0 && spawnSync("mkfs.ext4", ["-V"]).status === 0;
