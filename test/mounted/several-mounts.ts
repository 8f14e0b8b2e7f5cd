/**
 * One cluster, mounted several times, and the processes that act on each mount. Its end takes everything away, also a mount
 * that does not answer any more, within a minute or two.
 */
import { shell, startCluster, type Cluster } from "../support/cluster.ts";
import { mountServer } from "../../src/cli/mounts.ts";
import { Actor } from "./actor.ts";
import { isMounted, SecondMount } from "./acting.ts";

const names = ["second", "third", "fourth", "fifth"];

export class SeveralMounts {
  readonly cluster: Cluster;
  private readonly others: readonly SecondMount[];
  private readonly actors = new Set<Actor>();

  private constructor(cluster: Cluster, others: readonly SecondMount[]) {
    this.cluster = cluster;
    this.others = others;
  }

  /** From 2 to 5. */
  static async start(count: number): Promise<SeveralMounts> {
    const cluster = await startCluster();
    const mounts = new SeveralMounts(
      cluster,
      names.slice(0, count - 1).map((name) => new SecondMount(cluster, name)),
    );
    try {
      for (const mount of mounts.others) await mount.mount();
      // Some steps are done by users without privileges.
      await shell(`chmod 755 ${mounts.folders.join(" ")}`, { seconds: 20, cwd: "/" });
    } catch (error) {
      await mounts.close();
      throw error;
    }
    return mounts;
  }

  /** The mount points. */
  get folders(): string[] {
    return [this.cluster.mnt, ...this.others.map(({ mnt }) => mnt)];
  }
  /** The same name on each mount. */
  everywhere(name: string): string[] {
    return this.folders.map((folder) => `${folder}/${name}`);
  }

  /** Starts processes and ends them after use, also when the test fails. */
  async withActors<T>(count: number, act: (...actors: Actor[]) => Promise<T>): Promise<T> {
    const actors = Array.from({ length: count }, () => new Actor());
    for (const actor of actors) this.actors.add(actor);
    try {
      // So that what they do later begins at once.
      await Promise.all(actors.map((actor) => actor.call("now")));
      return await act(...actors);
    } finally {
      await Promise.all(actors.map((actor) => actor.kill()));
      for (const actor of actors) this.actors.delete(actor);
    }
  }

  /** Lines of all drivers and of the name server that tell of an error. */
  errors(): string[] {
    return ["client", ...names.slice(0, this.others.length), "name"].flatMap((name) =>
      this.cluster
        .log(name)
        .split("\n")
        .filter((line) => line.includes('"level":50')),
    );
  }

  async close(): Promise<void> {
    await Promise.all([...this.actors].map((actor) => actor.kill()));
    await Promise.all(this.others.map((mount) => removeMount(mount)));
    this.cluster.down();
  }
}

async function removeMount(mount: SecondMount): Promise<void> {
  const server = mountServer(mount.mnt);
  try {
    await mount.remove();
  } catch (error) {
    // The driver's end makes the kernel answer everybody who waits.
    if (server !== undefined && mountServer(mount.mnt)?.pid === server.pid) process.kill(server.pid, "SIGKILL");
    if (isMounted(mount.mnt)) await shell(`umount -i -l ${mount.mnt}; rmdir ${mount.mnt}`, { seconds: 20, cwd: "/" });
    throw error;
  }
}
