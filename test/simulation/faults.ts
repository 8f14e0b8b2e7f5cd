/** What goes wrong in a run: chosen by its seed, one thing after the other, until `end`. */
import { seededRandom, type Random } from "../../src/base/random.ts";
import { failSync, fillDisk, flipBit, loseIndex, slowDisk, type RottenFolder } from "./disk-faults.ts";
import { MemberChanges } from "./member-changes.ts";
import { copyHosts } from "./settle.ts";
import type { Shape } from "./shape.ts";
import type { World } from "./world.ts";

export class Faults {
  readonly #world: World;
  readonly #random: Random;
  readonly #shape: Shape;
  readonly #members: MemberChanges;
  /** The one storage node whose disk rots: all others keep a good copy of everything. */
  #rotten: string | undefined;
  #isOver = false;

  constructor(world: World, shape: Shape) {
    this.#world = world;
    this.#shape = shape;
    this.#random = seededRandom(world.random.below(2 ** 32));
    const rotten = this.#any(world.hosts("storage-node"));
    // Else one that has a copy of the journal by then.
    if (shape.kind !== "rotten-copy") this.#rotten = rotten;
    this.#members = new MemberChanges(world, this.#random, shape);
  }

  /** `count` faults, at most so long after each other. */
  begin(count: number, pauseMillis: number): void {
    if (count === 0) return;
    this.#world.events.schedule(this.#random.below(pauseMillis), () => {
      if (this.#isOver) return;
      this.#one();
      this.begin(count - 1, pauseMillis);
    });
  }

  /** A name server is replaced within this time, and perhaps the one that replaces it, too. */
  beginFailover(spanMillis: number): void {
    for (let count = 1 + this.#random.below(2); count > 0; count--) {
      this.#world.events.schedule(this.#random.below(spanMillis), () => {
        if (!this.#isOver) this.#failOver();
      });
    }
  }

  end(): void {
    this.#isOver = true;
    this.#members.end();
    this.#world.heal();
  }

  /** Bits flip, on the one disk that does so. */
  rot(folder: RottenFolder): void {
    const copies = copyHosts(this.#world);
    this.#rotten ??= copies[this.#random.below(Math.max(1, copies.length))];
    if (this.#rotten === undefined) return;
    for (let bits = 1 + this.#random.below(60); bits > 0; bits--) flipBit(this.#world, this.#rotten, folder);
  }

  #one(): void {
    const world = this.#world;
    const { kind } = this.#shape;
    if (kind === "rot" && this.#random.below(2) === 0) {
      this.rot("segments");
      return;
    }
    if (kind === "rotten-copy" && this.#random.below(2) === 0) {
      this.rot(this.#random.below(3) === 0 ? "segments" : "journal");
      return;
    }
    if (kind === "members" && this.#random.below(3) > 0) {
      this.#members.one();
      return;
    }
    const host = this.#any(world.hosts());
    const server = this.#any([world.nameServer, ...world.hosts("storage-node")]);
    switch (this.#random.below(14)) {
      case 0:
      case 1:
        world.kill(host, this.#pause());
        break;
      case 2:
      case 3:
        world.kill(server, this.#pause());
        break;
      case 4:
        world.powerOff(server, this.#pause());
        break;
      case 5:
        for (const one of world.hosts()) world.powerOff(one, this.#pause());
        break;
      case 6:
        for (const one of world.hosts()) if (!one.startsWith("client")) world.kill(one, this.#pause());
        break;
      case 7:
        world.stall(host, this.#random.below(3) === 0 ? 45_000 : this.#random.below(5_000));
        break;
      case 8:
        this.#cut(host);
        break;
      case 9:
        world.network.links.slow(host, 1 + this.#random.below(500));
        world.events.schedule(this.#random.below(20_000), () => {
          world.network.links.slow(host, 0);
        });
        break;
      case 10:
        world.events.note(`${host} loses half a connection`);
        world.network.breakOneSide(host);
        break;
      case 11:
        fillDisk(world, server, this.#random.below(30_000));
        break;
      case 12: {
        const node = this.#any(world.hosts("storage-node"));
        loseIndex(world, node, this.#pause());
        break;
      }
      case 13:
        if (this.#random.below(2) === 0) failSync(world, server);
        else slowDisk(world, server, 1 + this.#random.below(100));
        break;
    }
  }

  /** The name server before runs on, on its side of the network or not; or it comes back, or wakes up. */
  #failOver(): void {
    const world = this.#world;
    const before = world.nameServer;
    // Before the first copy is complete there is nothing to take over.
    if (copyHosts(world).length === 0) return;
    switch (this.#random.below(5)) {
      case 0:
        break;
      case 1:
        this.#cut(before);
        break;
      case 2:
        world.kill(before, this.#pause());
        break;
      case 3:
        world.powerOff(before, this.#pause());
        break;
      case 4:
        world.stall(before, this.#random.below(45_000));
        break;
    }
    world.events.schedule(this.#random.below(10_000), () => {
      if (!this.#isOver) world.failOver();
    });
  }

  /** A host from all others, or from one; in one direction, or in both. */
  #cut(host: string): void {
    const world = this.#world;
    const others = world.hosts().filter((other) => other !== host);
    const from = this.#random.below(2) === 0 ? others : [this.#any(others)];
    const direction = this.#random.below(4);
    world.events.note(`${host} is cut off from ${from.join(" ")} (${String(direction)})`);
    for (const other of from) {
      if (direction !== 0) world.network.links.cut(host, other);
      if (direction !== 1) world.network.links.cut(other, host);
    }
    const millis = this.#random.below(3) === 0 ? this.#random.below(60_000) : this.#random.below(5_000);
    world.events.schedule(millis, () => {
      world.events.note("the links are whole again");
      world.network.links.heal();
    });
  }

  #pause(): { restartMillis: number } {
    const millis = [0, 50, 1_000, 15_000, 45_000][this.#random.below(5)] ?? 0;
    return { restartMillis: millis + this.#random.below(100) };
  }

  #any(of: readonly string[]): string {
    return of[this.#random.below(of.length)] ?? "";
  }
}
