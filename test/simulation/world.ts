/**
 * The whole cluster in one process from one seed: hosts, what runs on them, and what can be done to them. Everything that
 * is killed starts again after a while on what its disk kept.
 */
import { errnoOf } from "../../src/base/errno.ts";
import { seededRandom, type Random } from "../../src/base/random.ts";
import type { Operations } from "../../src/fuse/operations.ts";
import type { Address } from "../../src/rpc/types.ts";
import { Events } from "./events.ts";
import { errorText, Machine } from "./machine.ts";
import { mountInTheEnd } from "./mount.ts";
import { Network } from "./network.ts";
import { Recording, type Life } from "./record.ts";
import type { Shape } from "./shape.ts";
import {
  diskBytes,
  nameServerHosts,
  newHost,
  startNameServer,
  startStorageNode,
  storagePort,
  type Host,
  type RunningNameServer,
  type RunningStorageNode,
} from "./servers.ts";

export interface WorldOptions extends Shape {
  readonly seed: number;
  /** Told of every line of the trace. */
  readonly onNote?: ((line: string) => void) | undefined;
}

export interface MountedClient {
  readonly operations: Operations;
  readonly machine: Machine;
  readonly life: Life;
}

type Running = RunningNameServer | RunningStorageNode | ({ readonly kind: "client" } & MountedClient);

interface Place {
  host: Host;
  readonly kind: Running["kind"];
  machine: Machine | undefined;
  running: Running | undefined;
  life: Life | undefined;
  /** Nothing starts it before. */
  absentUntil: number;
  isRetired: boolean;
}

/** How soon what was killed starts again. */
export type Pause = { readonly restartMillis: number };

export class World {
  readonly events: Events;
  readonly random: Random;
  readonly network: Network;
  readonly recording = new Recording();
  /** What must never be: a process that cannot start, an error that no fault explains. */
  readonly problems: string[] = [];
  /** Called with every client that is ready. */
  onMounted: (client: MountedClient) => void = () => undefined;
  /** The host that has the name server, or is to have it. */
  nameServer: string = nameServerHosts[0];
  readonly #options: WorldOptions;
  readonly #places = new Map<string, Place>();
  /** Kills that a fault explains: hosts whose disk was told to fail. */
  readonly #mayFail = new Set<string>();

  constructor(options: WorldOptions) {
    this.#options = options;
    this.events = new Events(options.onNote);
    this.random = seededRandom(options.seed);
    this.network = new Network(this.events, this.#seeded());
    this.addHost(this.nameServer, "name-server");
    for (let i = 1; i <= options.nodes; i++) this.addHost(`storage-${String(i)}`, "storage-node");
    for (let i = 1; i <= options.clients; i++) this.addHost(`client-${String(i)}`, "client");
  }

  /** A further one, which has never run. */
  addHost(name: string, kind: Running["kind"]): void {
    const place = { host: newHost(name, this.#seeded()), kind, absentUntil: 0, isRetired: false };
    this.#places.set(name, { ...place, machine: undefined, running: undefined, life: undefined });
  }

  /** What there is of it while no process runs. */
  host(name: string): Host {
    return this.#place(name).host;
  }

  hosts(kind?: Running["kind"]): string[] {
    const places = [...this.#places.values()].filter(({ isRetired }) => !isRetired);
    return places.filter((place) => kind === undefined || place.kind === kind).map(nameOf);
  }

  /** Everything that is to be there is. */
  get isWhole(): boolean {
    return this.hosts().every((host) => this.isUp(host) || this.formerNameServers.includes(host));
  }

  get formerNameServers(): string[] {
    return this.hosts("name-server").filter((host) => host !== this.nameServer);
  }

  /** Another host, with an empty disk, takes over from the storage nodes' copies; whatever the one before does. */
  failOver(): void {
    const { length } = [...this.#places.values()].filter(({ kind }) => kind === "name-server");
    const next = nameServerHosts[length];
    if (next === undefined) return;
    // One that has not come so far is given up: of two that take over at once either may win.
    if (this.#sourceFor(this.host(this.nameServer)) !== undefined) this.retire(this.nameServer);
    this.events.note(`${next} takes over from ${this.nameServer}`);
    this.nameServer = next;
    this.addHost(next, "name-server");
    this.start(next);
  }

  /** It is switched off for ever. */
  retire(host: string): void {
    this.powerOff(host, { restartMillis: 0 });
    this.#place(host).isRetired = true;
  }

  running(host: string): Running | undefined {
    return this.#place(host).running;
  }

  get clients(): MountedClient[] {
    return this.hosts("client").flatMap((host) => {
      const running = this.running(host);
      return running?.kind === "client" ? [running] : [];
    });
  }

  isUp(host: string): boolean {
    return this.#place(host).running !== undefined;
  }

  start(host: string): void {
    const place = this.#place(host);
    if (place.machine !== undefined || place.isRetired || this.events.now < place.absentUntil) return;
    const skewMillis = this.random.below(4) === 0 ? this.random.below(20_000) - 10_000 : 0;
    const machine = new Machine({ events: this.events, host, seed: this.random.below(2 ** 32), skewMillis });
    place.machine = machine;
    this.network.links.powered(host);
    this.events.note(`${host} starts`);
    this.#run(place, machine).then(
      (running) => {
        if (!machine.isAlive) return;
        place.running = running;
        this.events.note(`${host} is ready`);
        if (running.kind === "client") this.onMounted(running);
      },
      (error: unknown) => {
        this.#failed(place, machine, error);
      },
    );
  }

  /** The end of the process alone: what it had given to its kernel is still written. */
  kill(host: string, { restartMillis }: Pause): void {
    const place = this.#place(host);
    if (place.machine === undefined) return;
    this.events.note(`${host} is killed`);
    this.network.ended(place.machine);
    this.#end(place);
    place.host.disk = place.host.disk.kill();
    this.#startLater(host, restartMillis);
  }

  /** The host loses power: what was not synced is lost in part. */
  powerOff(host: string, { restartMillis }: Pause): void {
    const place = this.#place(host);
    this.events.note(`${host} loses power`);
    if (place.machine !== undefined) {
      this.network.vanished(place.machine);
      this.#end(place);
    }
    place.host.disk = place.host.disk.crash();
    this.#startLater(host, restartMillis);
  }

  /** Without power for so long, whatever happens to others. */
  takeAway(host: string, millis: number): void {
    this.powerOff(host, { restartMillis: millis });
    this.#place(host).absentUntil = this.events.now + millis;
  }

  /** It loses everything: it comes back, at the same address, as one that was never there. */
  wipe(host: string, pause: Pause): void {
    this.powerOff(host, pause);
    this.events.note(`${host}'s disk is another one, and empty`);
    this.#place(host).host = newHost(host, this.#seeded());
  }

  /** Its process may end by itself from now on: its disk fails. */
  mayFail(host: string): void {
    this.#mayFail.add(host);
  }

  /** The process stands still for so long. */
  stall(host: string, millis: number): void {
    const { machine } = this.#place(host);
    if (machine === undefined || machine.isStopped) return;
    this.events.note(`${host} is stopped`);
    machine.stop();
    this.events.schedule(millis, () => {
      this.events.note(`${host} goes on`);
      machine.goOn();
    });
  }

  /** Every link is whole, every disk fast and without fault. */
  heal(): void {
    this.events.note("everything is healed");
    this.network.links.heal();
    for (const { host } of this.#places.values()) {
      host.slowness.millis = 0.3;
      host.disk.capacity = diskBytes;
    }
  }

  #seeded(): Random {
    return seededRandom(this.random.below(2 ** 32));
  }

  #place(host: string): Place {
    const place = this.#places.get(host);
    if (place === undefined) throw new Error(`there is no host ${host}`);
    return place;
  }

  async #run(place: Place, machine: Machine): Promise<Running> {
    const onFailed = (error: unknown): void => {
      this.#failed(place, machine, error);
    };
    const { network } = this;
    const { host } = place;
    switch (place.kind) {
      case "name-server":
        return startNameServer({ machine, network, host, onFailed }, this.#options, this.#sourceFor(host));
      case "storage-node":
        return startStorageNode({ machine, network, host, onFailed });
      case "client": {
        const life: Life = { name: host.name, losses: [] };
        place.life = life;
        const onLoss = (): void => {
          this.events.note(`${machine.host} lost its session or leases`);
          life.losses.push(this.events.steps);
        };
        return { kind: "client", life, ...(await mountInTheEnd(machine, network, onLoss)) };
      }
    }
  }

  /** For a name server that takes over, until it has. */
  #sourceFor({ name, disk }: Host): Address[] | undefined {
    if (name === nameServerHosts[0] || (disk.has("server") && !disk.has("recovering"))) return undefined;
    return this.hosts("storage-node").map((host) => ({ host, port: storagePort }));
  }

  /** It ended by itself. */
  #failed(place: Place, machine: Machine, error: unknown): void {
    if (!machine.isAlive) return;
    const { name } = place.host;
    this.events.note(`${name} ends: ${String(error)}`);
    if (this.formerNameServers.includes(name) && errnoOf(error) === "ESTALE") {
      this.retire(name);
      return;
    }
    if (place.kind === "name-server" && this.#sourceFor(place.host) !== undefined) {
      // Too few nodes answer: the operator tries again.
      this.kill(name, { restartMillis: 1_000 });
      return;
    }
    // Of two that claimed one epoch at different nodes one ends like this, and claims a higher one as it starts again.
    const hasRival = name === this.nameServer && name !== nameServerHosts[0] && errnoOf(error) === "ESTALE";
    if (!hasRival && !this.#mayFail.has(name)) this.problems.push(`${name} ended by itself: ${errorText(error)}`);
    this.kill(name, { restartMillis: 500 });
  }

  #end(place: Place): void {
    place.machine?.kill();
    place.life?.losses.push(this.events.steps);
    place.machine = undefined;
    place.running = undefined;
    place.life = undefined;
  }

  #startLater(host: string, millis: number): void {
    this.events.schedule(millis, () => {
      this.start(host);
    });
  }
}

function nameOf({ host }: Place): string {
  return host.name;
}
