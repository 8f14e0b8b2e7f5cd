/**
 * Storage nodes come and leave: for longer than the cluster waits for them, with an empty disk, for the first time, by an
 * operator's decision; and files get another number of copies.
 *
 * What is destroyed is elsewhere at that moment: only while every group is whole, and the node before has been replaced.
 */
import { errnoOf } from "../../src/base/errno.ts";
import type { NodeId } from "../../src/base/ids.ts";
import type { Random } from "../../src/base/random.ts";
import { asOperator, setReplicas } from "./operator.ts";
import { storagePort } from "./servers.ts";
import { statusOf } from "./settle.ts";
import type { Shape } from "./shape.ts";
import type { World } from "./world.ts";

type Decision = "drain" | "undrain" | "remove";

const nodesMax = 6;
const removeAgainMillis = 5_000;
const paths = ["", "/names-0", "/inodes", "/own-1", "/own-1/a", "/own-3/b"];

export class MemberChanges {
  readonly #world: World;
  readonly #random: Random;
  readonly #shape: Shape;
  /** Whether disks are emptied: then everything has two copies at least. */
  readonly #mayWipe: boolean;
  /** Whose disk was emptied last. */
  #wiped: NodeId | undefined;
  #isOver = false;

  constructor(world: World, random: Random, shape: Shape) {
    this.#world = world;
    this.#random = random;
    this.#shape = shape;
    this.#mayWipe = random.below(3) > 0;
  }

  one(): void {
    const world = this.#world;
    const nodes = world.hosts("storage-node");
    const node = nodes[this.#random.below(nodes.length)] ?? "";
    switch (this.#random.below(8)) {
      case 0:
      case 1:
        world.takeAway(node, this.#shape.nodeOutMillis + this.#random.below(20_000));
        break;
      case 2:
      case 3:
        this.#wipe(node);
        break;
      case 4:
        if (nodes.length >= nodesMax) break;
        world.addHost(`storage-${String(nodes.length + 1)}`, "storage-node");
        world.start(`storage-${String(nodes.length + 1)}`);
        break;
      case 5:
        this.#decide(node, "drain");
        if (this.#random.below(2) === 0) this.#removeLater(node, 10);
        break;
      case 6:
        this.#decide(node, this.#random.below(2) === 0 ? "drain" : "undrain");
        break;
      case 7:
        this.#setReplicas();
        break;
    }
  }

  end(): void {
    this.#isOver = true;
  }

  #wipe(host: string): void {
    const world = this.#world;
    const running = world.running(host);
    const status = statusOf(world);
    if (!this.#mayWipe || running?.kind !== "storage-node" || status === undefined) return;
    const { groups, repair } = status;
    const isWhole = groups.degraded + groups.lost === 0 && repair.state === "idle";
    const isReplaced = status.nodes.every(({ id, groups: left }) => id !== this.#wiped || left === 0);
    if (!isWhole || repair.suspects + repair.lostBlocks > 0 || !isReplaced) return;
    this.#wiped = running.identity.node;
    world.wipe(host, { restartMillis: this.#random.below(30_000) });
  }

  #decide(host: string, decision: Decision): void {
    const { events } = this.#world;
    events.note(`operator: ${decision} ${host}`);
    this.#ordered(host, decision).catch((error: unknown) => {
      events.note(`operator: ${decision} ${host}: ${errnoOf(error)}`);
    });
  }

  async #ordered(host: string, decision: Decision): Promise<void> {
    const node = `${host}:${String(storagePort)}`;
    await asOperator(this.#world, (peer) => peer.call("decideNode", { node, decision }));
  }

  /** Once nobody needs it any more; then its machine is put to another use, as a new node. */
  #removeLater(host: string, attempts: number): void {
    const { events } = this.#world;
    events.schedule(removeAgainMillis, () => {
      if (this.#isOver || attempts === 0) return;
      this.#ordered(host, "remove").then(
        () => {
          events.note(`operator: ${host} is removed`);
          if (!this.#isOver) this.#world.wipe(host, { restartMillis: this.#random.below(10_000) });
        },
        (error: unknown) => {
          events.note(`operator: remove ${host}: ${errnoOf(error)}`);
          this.#removeLater(host, attempts - 1);
        },
      );
    });
  }

  #setReplicas(): void {
    const { events } = this.#world;
    const path = paths[this.#random.below(paths.length)] ?? "";
    const copies = this.#mayWipe ? 2 + this.#random.below(2) : 1 + this.#random.below(3);
    events.note(`operator: ${String(copies)} copies of ${path}/`);
    setReplicas(this.#world, path, copies).catch((error: unknown) => {
      events.note(`operator: ${String(copies)} copies of ${path}/: ${errnoOf(error)}`);
    });
  }
}
