/**
 * A name server with leases and its clients, message by message, with all that must hold checked after each of them.
 * Every part of every inode has a version: `server` is what the name server knows, `truth` what was last written by
 * anyone whose write has returned. Whatever a client keeps has to be the truth.
 */
import { strict as assert } from "node:assert";
import { toIno, type Ino, type SessionId } from "../../../src/base/ids.ts";
import { calmMillis } from "../../../src/name-server/leases/back-off.ts";
import { createLeaseTable } from "../../../src/name-server/leases/table.ts";
import type { Effects, LeaseBounds, Want } from "../../../src/name-server/leases/types.ts";
import { Client, parts, partsOf, type Job, type Part, type Upward } from "./model-client.ts";

export class World {
  readonly table;
  readonly inos: readonly Ino[];
  readonly clients: Client[] = [];
  readonly ready: Job[] = [];
  now = 0;
  readonly #arrived = new Set<Job>();
  readonly #server = new Map<Ino, Map<Part, number>>();
  readonly #truth = new Map<Ino, Map<Part, number>>();
  /** The last number per session and inode, of grants and of recalls. */
  readonly #numbers = new Map<string, number>();
  /** Recalls that the server has sent and not heard of. */
  readonly #underWay = new Map<SessionId, Set<string>>();
  /** Clients that said that they are blocked, and have recalls under way. */
  readonly #blocked = new Set<Client>();
  #version = 0;
  #arrivals = 0;
  #sessions = 0;

  constructor(inodes: number, bounds: Partial<LeaseBounds>) {
    this.table = createLeaseTable<Job>(bounds);
    this.inos = Array.from({ length: inodes }, (_, index) => toIno(index + 1));
    for (const ino of this.inos) {
      this.#server.set(ino, new Map(parts.map((part) => [part, 0])));
      this.#truth.set(ino, new Map(parts.map((part) => [part, 0])));
    }
  }

  join(stubborn: boolean): Client {
    const id = (++this.#sessions).toString(16).padStart(16, "0") as SessionId;
    const client = new Client(id, stubborn);
    this.clients.push(client);
    this.#underWay.set(id, new Set());
    return client;
  }

  read(map: "server" | "truth", ino: Ino): Map<Part, number> {
    const found = (map === "server" ? this.#server : this.#truth).get(ino);
    assert(found !== undefined);
    return found;
  }

  writeLocally(client: Client, ino: Ino, part: Part): void {
    if (!client.mayWriteLocally(ino)) return;
    const version = ++this.#version;
    client.writeLocally(ino, part, version);
    this.read("truth", ino).set(part, version);
  }

  /** The next message of a client arrives at the server. */
  receive(client: Client): boolean {
    const message = client.up.shift();
    if (message === undefined) return false;
    this.#handle(client, message);
    return true;
  }

  #handle(client: Client, message: Upward): void {
    const { table, now } = this;
    const { id } = client;
    switch (message.kind) {
      case "request": {
        const { job } = message;
        job.arrival = ++this.#arrivals;
        job.blocked = this.#blocked.has(client);
        this.#arrived.add(job);
        const { request, effects } = table.request({ session: id, wants: job.wants, task: job }, now);
        job.request = request;
        this.act(effects);
        break;
      }
      case "flush":
        assert(table.mayFlush(id, message.ino), "a flush came from somebody who holds nothing");
        for (const [part, version] of message.values) this.read("server", message.ino).set(part, version);
        table.progress(id, now);
        break;
      case "flushed":
      case "lowered":
        this.act(table[message.kind](id, message.ino, message.number, now));
        break;
      case "acknowledged":
        this.#underWay.get(id)?.delete(`${String(message.ino)} ${String(message.number)}`);
        if (this.#underWay.get(id)?.size === 0) this.#blocked.delete(client);
        this.act(table.acknowledged(id, message.ino, message.number, now));
        break;
      case "blocked":
        if ((this.#underWay.get(id)?.size ?? 0) > 0) this.#blocked.add(client);
        for (const job of this.#arrived) if (job.client === client) job.blocked = true;
        this.act(table.blocked(id, now));
        break;
    }
  }

  act(effects: Effects<Job>): void {
    for (const { session, recall } of effects.recalls) {
      const client = this.#client(session);
      this.#rises(session, recall.ino, recall.number);
      const holder = this.table.holders(recall.ino).find((one) => one.session === session);
      assert(holder !== undefined && holder.level !== "none", "a recall of nothing");
      this.#underWay.get(session)?.add(`${String(recall.ino)} ${String(recall.number)}`);
      client.recalls.push(recall);
    }
    for (const request of effects.runs) {
      const job = request.task;
      assert.equal(request.state, "ready");
      assert(!this.ready.includes(job), "a request became ready twice");
      this.#checkTurn(job);
      this.ready.push(job);
    }
    for (const session of effects.ends) this.end(this.#client(session));
    this.check();
  }

  /** Requests that mind each other become ready in the order of their arrival, but for the exceptions. */
  #checkTurn(job: Job): void {
    const recalled = (this.#underWay.get(job.client.id)?.size ?? 0) > 0;
    if (job.blocked || job.retried || (recalled && job.wants.every(({ changes }) => changes === undefined))) return;
    for (const earlier of this.#arrived) {
      if (earlier === job || earlier.retried || earlier.arrival === undefined || job.arrival === undefined) continue;
      const minds = job.wants.some((want) =>
        earlier.wants.some(
          (other) => other.ino === want.ino && (other.changes !== undefined || want.changes !== undefined),
        ),
      );
      assert(!minds || earlier.arrival > job.arrival, "a request overtook an earlier one");
    }
  }

  /** A ready request runs: now, or after it found that it needs other inodes. */
  run(at: number, otherWants?: readonly Want[], beside?: Ino): boolean {
    const [job] = this.ready.splice(at, 1);
    if (job?.request === undefined) return false;
    const { request, client } = job;
    if (otherWants !== undefined && !job.retried && !this.#mayBeDirty(client, otherWants)) {
      job.retried = true;
      job.wants = otherWants;
      this.act(this.table.retry(request, otherWants, this.now));
      return true;
    }
    const values = new Map<Ino, Map<Part, number>>();
    for (const { ino, changes } of job.wants) {
      const server = this.read("server", ino);
      for (const [part, version] of this.read("truth", ino)) {
        const own = client.belief(ino).dirty.has(part) || client.up.some((up) => up.kind === "flush" && up.ino === ino);
        assert(
          own || server.get(part) === version,
          `ran on a state without a returned write: ${part} of ${String(ino)}`,
        );
      }
      for (const part of (changes ?? []).flatMap(partsOf)) {
        const version = ++this.#version;
        server.set(part, version);
        this.read("truth", ino).set(part, version);
      }
      values.set(ino, new Map(server));
    }
    // The reply tells of another inode too, as a listing does.
    const offered = beside && this.table.offer(client.id, { ino: beside, level: "shared" }, this.now);
    const { grants, effects } = this.table.complete(request, this.now);
    this.#arrived.delete(job);
    const all = offered === undefined ? grants : [offered, ...grants];
    for (const grant of all) {
      this.#rises(client.id, grant.ino, grant.number);
      if (!values.has(grant.ino)) values.set(grant.ino, new Map(this.read("server", grant.ino)));
    }
    client.replies.push({ job, grants: all, values });
    this.act(effects);
    return true;
  }

  /** A client flushes before it changes by request what it may change by itself. */
  #mayBeDirty(client: Client, wants: readonly Want[]): boolean {
    return wants.some(({ ino, changes }) => {
      const mine = this.table.holders(ino).find(({ session }) => session === client.id);
      return changes !== undefined && mine?.level === "exclusive";
    });
  }

  cancel(at: number): void {
    const job = [...this.#arrived][at];
    if (job === undefined) return;
    this.#arrived.delete(job);
    if (this.ready.includes(job)) this.ready.splice(this.ready.indexOf(job), 1);
    job.client.replies.push({ job, grants: [], values: new Map() });
    const { request } = job;
    if (request !== undefined) this.act(this.table.cancel(request, this.now));
  }

  /** The client has dropped everything, its unflushed writes are lost, and its end is committed. */
  end(client: Client): void {
    this.clients.splice(this.clients.indexOf(client), 1);
    for (const [ino, belief] of client.beliefs) {
      for (const part of parts) {
        const lost = belief.dirty.has(part) || client.up.some((up) => up.kind === "flush" && up.ino === ino);
        if (lost) this.read("truth", ino).set(part, this.read("server", ino).get(part) ?? 0);
      }
    }
    for (const job of [...this.#arrived]) if (job.client === client) this.#arrived.delete(job);
    for (const job of this.ready.filter((one) => one.client === client)) this.ready.splice(this.ready.indexOf(job), 1);
    this.act(this.table.sessionEnded(client.id, this.now));
    for (const ino of this.inos) {
      assert(!this.table.holders(ino).some(({ session }) => session === client.id), "an ended session holds something");
    }
  }

  check(): void {
    for (const ino of this.inos) {
      const holding = this.table.holders(ino).filter(({ level }) => level !== "none");
      assert(holding.length < 2 || holding.every(({ level }) => level === "shared"), "two holders, one exclusive");
      const truth = this.read("truth", ino);
      for (const client of this.clients) {
        if (client.isChanging(ino)) continue;
        for (const [part, version] of client.beliefs.get(ino)?.kept ?? []) {
          assert.equal(version, truth.get(part), `a client keeps an old ${part} of ${String(ino)}`);
        }
      }
    }
  }

  /** Everybody does what it can until nothing more happens; whoever still waits then would wait for ever. */
  drain(): void {
    const blocked = new Set<Client>();
    while (this.#moveAll() || this.#someoneIsBlocked(blocked)) this.check();
  }

  #moveAll(): boolean {
    let moved = false;
    for (const client of [...this.clients]) {
      while (this.receive(client)) moved = true;
      moved ||= client.recalls.length + client.replies.length > 0;
      while (client.recalls.length > 0) client.receiveRecall();
      while (client.replies.length > 0) client.receiveReply();
      for (let at = client.open.length - 1; at >= 0; at--) {
        if (client.flush(at)) moved = true;
        if (client.acknowledge(at)) moved = true;
      }
    }
    while (this.run(0)) moved = true;
    return moved;
  }

  /** Stubborn clients that cannot acknowledge say so, once each. */
  #someoneIsBlocked(already: Set<Client>): boolean {
    const client = this.clients.find((one) => one.stubborn && one.open.length > 0 && !already.has(one));
    if (client === undefined) return false;
    already.add(client);
    client.up.push({ kind: "blocked" });
    return true;
  }

  get waiting(): number {
    return this.clients.reduce((sum, { unanswered, open }) => sum + unanswered.size + open.length, 0);
  }

  /**
   * One more client takes everything from everybody, also what was granted by a reply that came too late to count. Then
   * the others have nothing left at the server, and when that one has gone, there is nothing at all.
   */
  giveBack(): void {
    // A recall that is under way may leave a lease of which nothing is kept.
    this.drain();
    const taker = this.join(false);
    const changes = [{ kind: "everything" as const }];
    for (const ino of this.inos) taker.send([{ ino, level: "exclusive", changes }]);
    this.drain();
    assert.equal(this.waiting, 0, "somebody gives nothing back");
    for (const client of this.clients) {
      if (client !== taker) assert.equal(this.table.held(client.id), 0, "somebody keeps what another one has taken");
    }
    this.end(taker);
    this.now += calmMillis;
    this.act(this.table.timePassed(this.now));
    assert.deepEqual(this.table.statistics, { inodes: 0, sessions: 0, recalls: 0, waiting: 0, bouncing: 0 });
  }

  #client(session: SessionId): Client {
    const client = this.clients.find(({ id }) => id === session);
    assert(client !== undefined, "an effect for a session that has ended");
    return client;
  }

  #rises(session: SessionId, ino: Ino, number: number): void {
    const key = `${session} ${String(ino)}`;
    assert(number > (this.#numbers.get(key) ?? 0), "numbers of one inode do not rise");
    this.#numbers.set(key, number);
  }
}
