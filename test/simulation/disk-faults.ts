/** What goes wrong with the disk of one host. */
import { diskBytes, reserveBytes } from "./servers.ts";
import type { Pause, World } from "./world.ts";

/** Its blocks, or its copy of the journal: base and records. (Damaged promises, `register.json`, let it not start at all.) */
export type RottenFolder = "segments" | "journal";

/** One bit of what this storage node has stored there is inverted, wherever it may be. */
export function flipBit(world: World, host: string, folder: RottenFolder): void {
  const { disk } = world.host(host);
  const files = disk.files(folder).filter((path) => disk.bytesOf(path).length > 0);
  const path = files[world.random.below(Math.max(1, files.length))];
  if (path === undefined) return;
  const offset = world.random.below(disk.bytesOf(path).length);
  world.events.note(`${host}'s disk flips a bit of ${path} at ${String(offset)}`);
  disk.flip(path, offset, 1 << world.random.below(8));
}

/** The next sync fails, upon which the process ends by itself. */
export function failSync(world: World, host: string): void {
  world.events.note(`${host}'s disk fails to sync`);
  world.mayFail(host);
  world.host(host).disk.fail("sync", "EIO");
}

/** There is no more room for so long. */
export function fillDisk(world: World, host: string, millis: number): void {
  const full = world.host(host);
  world.events.note(`${host}'s disk is full`);
  // The name server's reserve is less than half used up by what goes on all the same.
  const roomBytes = world.hosts("name-server").includes(host) ? reserveBytes / 2 : 10_000;
  full.disk.capacity = full.disk.usedBytes + roomBytes;
  world.events.schedule(millis, () => {
    world.events.note(`${host}'s disk has room again`);
    full.disk.capacity = diskBytes;
  });
}

/** The storage node is killed, and its index is gone. */
export function loseIndex(world: World, host: string, pause: Pause): void {
  world.events.note(`${host}'s index is lost`);
  world.kill(host, pause);
  void world.host(host).index.discard();
}

export function slowDisk(world: World, host: string, millis: number): void {
  world.host(host).slowness.millis = millis;
}
