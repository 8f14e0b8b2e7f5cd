/** Everything that may happen, as fast-check makes it up, and how it happens to a `World`. */
import { strict as assert } from "node:assert";
import fc from "fast-check";
import type { Ino } from "../../../src/base/ids.ts";
import type { Name } from "../../../src/base/name.ts";
import type { LeaseLevel, LeaseScope } from "../../../src/protocol/leases.ts";
import type { Want } from "../../../src/name-server/leases/types.ts";
import { dataScope, parts, type Client } from "./model-client.ts";
import type { World } from "./world.ts";

export const inodes = 4;
const ino = fc.nat(inodes - 1);
const level = fc.constantFrom<LeaseLevel>("none", "shared", "shared", "exclusive");
const scope = fc.constantFrom<LeaseScope>(
  { kind: "entry", name: "a" as Name },
  { kind: "entry", name: "b" as Name },
  { kind: "attributes" },
  dataScope(0),
  dataScope(1),
  { kind: "everything" },
);
const want = fc.record({
  ino,
  level,
  changes: fc.option(fc.array(scope, { minLength: 1, maxLength: 2 }), { nil: undefined, freq: 2 }),
  insist: fc.boolean(),
});
const wants = fc.array(want, { minLength: 1, maxLength: 3 });
const reading = fc.record({ ino, level, insist: fc.boolean() }).map((one) => [one]);

const client = fc.nat(4);
const nth = fc.nat(3);
const action = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("send" as const), client, wants: fc.oneof(wants, reading) }) },
  { weight: 16, arbitrary: fc.record({ kind: fc.constant("receive" as const), client }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("reply" as const), client }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("recall" as const), client }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("flush" as const), client, nth }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("acknowledge" as const), client, nth, forced: fc.boolean() }) },
  {
    weight: 14,
    arbitrary: fc.record({ kind: fc.constant("run" as const), nth, beside: fc.option(ino, { nil: undefined }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("retry" as const), nth, wants }) },
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant("write" as const), client, ino, part: fc.nat(parts.length - 1) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("lower" as const), client, ino }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("forget" as const), client, ino }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("blocked" as const), client }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("cancel" as const), nth }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("time" as const), millis: fc.nat(400) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("end" as const), client }) },
);
type Action = typeof action extends fc.Arbitrary<infer A> ? A : never;

type Performers = { readonly [K in Action["kind"]]: (world: World, action: Action & { kind: K }) => void };

const at = <T>(list: readonly T[], index: number): T => list[index % list.length] as T;
const clientAt = (world: World, { client: index }: { client: number }): Client => at(world.clients, index);
/** One of those that can do it, if any. */
function able(world: World, { client: index }: { client: number }, can: (one: Client) => boolean): Client | undefined {
  const clients = world.clients.filter(can);
  return clients.length === 0 ? undefined : at(clients, index);
}
const inoAt = (world: World, { ino: index }: { ino: number }): Ino => at(world.inos, index);

const performers: Performers = {
  send(world, action) {
    const who = clientAt(world, action);
    const wanted = real(world, action.wants);
    // A client flushes what it changed before it asks for a change of it.
    for (const one of wanted) who.flushDirty(one.ino);
    who.send(wanted);
  },
  receive(world, action) {
    const who = able(world, action, ({ up }) => up.length > 0);
    if (who !== undefined) world.receive(who);
  },
  reply(world, action) {
    able(world, action, ({ replies }) => replies.length > 0)?.receiveReply();
  },
  recall(world, action) {
    able(world, action, ({ recalls }) => recalls.length > 0)?.receiveRecall();
  },
  flush(world, action) {
    const who = able(world, action, ({ open }) => open.some(({ flushed }) => !flushed));
    who?.flush(action.nth % who.open.length);
  },
  acknowledge(world, action) {
    const who = able(world, action, ({ open }) => open.some(({ flushed }) => flushed));
    who?.acknowledge(action.nth % who.open.length, action.forced);
  },
  blocked: (world, action) => void clientAt(world, action).up.push({ kind: "blocked" }),
  run(world, { nth: index, beside }) {
    world.run(
      index % Math.max(world.ready.length, 1),
      undefined,
      beside === undefined ? undefined : world.inos[beside],
    );
  },
  retry: (world, { nth: index, wants: wanted }) =>
    void world.run(index % Math.max(world.ready.length, 1), real(world, wanted)),
  cancel(world, { nth: index }) {
    world.cancel(index);
  },
  write(world, action) {
    const ino = inoAt(world, action);
    const who = able(world, action, (one) => one.mayWriteLocally(ino));
    if (who !== undefined) world.writeLocally(who, ino, at(parts, action.part));
  },
  lower(world, action) {
    const ino = inoAt(world, action);
    able(world, action, (one) => one.beliefs.get(ino)?.level === "exclusive")?.lower(ino);
  },
  forget(world, action) {
    world.table.forgotten(clientAt(world, action).id, [inoAt(world, action)]);
  },
  time(world, { millis }) {
    world.now += millis;
    world.act(world.table.timePassed(world.now));
  },
  end(world, action) {
    const who = clientAt(world, action);
    world.end(who);
    world.join(who.stubborn);
  },
};

export function perform(world: World, action: Action): void {
  const performer = performers[action.kind] as (world: World, action: Action) => void;
  performer(world, action);
}

/** The inodes are numbers of the world's. */
function real(
  world: World,
  wanted: readonly (Omit<Want, "ino" | "changes"> & { ino: number; changes?: LeaseScope[] | undefined })[],
): Want[] {
  return wanted.map(({ ino: index, level: asked, changes, insist }) => {
    const found = world.inos[index];
    assert(found !== undefined);
    return {
      ino: found,
      level: asked,
      ...(changes === undefined ? {} : { changes }),
      ...(insist === true ? { insist } : {}),
    };
  });
}

export const story = fc.array(action, { minLength: 60, maxLength: 200, size: "max" });
