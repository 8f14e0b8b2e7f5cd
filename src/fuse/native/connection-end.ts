/**
 * When a connection to the kernel has ended. The package tells nobody; but libfuse, when it has answered all there was,
 * closes its descriptor of /dev/fuse. (The list of mounts would say less: a detached mount is served until its last file
 * is closed.) Reading these links touches no mount.
 */
import { readdirSync, readlinkSync } from "node:fs";
import { sleep, type Clock } from "../../base/clock.ts";

const own = "/proc/self/fd";
const device = "/dev/fuse";
const pollMillis = 50;

/** This process's descriptors of /dev/fuse. */
export function fuseDescriptors(): number[] {
  return readdirSync(own).map(Number).filter(isOpen);
}

export async function closed(descriptor: number, clock: Clock): Promise<void> {
  while (isOpen(descriptor)) await sleep(clock, pollMillis);
}

function isOpen(descriptor: number): boolean {
  try {
    return readlinkSync(`${own}/${String(descriptor)}`) === device;
  } catch {
    return false;
  }
}
