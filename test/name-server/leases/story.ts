/** Everything that may happen, as fast-check makes it up, and how it happens to a `World`. */
import { strict as assert } from "node:assert";
import fc from "fast-check";
import type { Name } from "../../../src/base/name.ts";
import type { LeaseLevel, LeaseScope } from "../../../src/protocol/leases.ts";
import type { LeaseBounds, Want } from "../../../src/name-server/leases/types.ts";
import { dataScope, parts } from "./model-client.ts";
import { World } from "./world.ts";

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
  open: fc.option(fc.constantFrom("reading" as const, "writing" as const), { nil: undefined }),
});
const wants = fc.array(want, { minLength: 1, maxLength: 3 });
const reading = fc.record({ ino, level, insist: fc.boolean() }).map((one) => [one]);

const client = fc.nat(4);
const nth = fc.nat(3);
const action = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("send" as const), client, wants: fc.oneof(wants, reading) }) },
  { weight: 10, arbitrary: fc.record({ kind: fc.constant("receive" as const), client }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("reply" as const), client }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("recall" as const), client }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("flush" as const), client, nth }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("acknowledge" as const), client, nth }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("run" as const), nth }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("retry" as const), nth, wants }) },
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant("write" as const), client, ino, part: fc.nat(parts.length - 1) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("release" as const), client, ino }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("close" as const), client, ino, still: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("forget" as const), client, ino }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("blocked" as const), client }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("cancel" as const), nth }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("time" as const), millis: fc.nat(400) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("end" as const), client }) },
);
export type Action = typeof action extends fc.Arbitrary<infer A> ? A : never;

export function perform(world: World, one: Action): void {
  const { clients, table, now } = world;
  const at = <T>(list: readonly T[], index: number): T | undefined => list[index % list.length];
  const who = "client" in one ? at(clients, one.client) : undefined;
  const which = "ino" in one ? at(world.inos, one.ino) : undefined;
  switch (one.kind) {
    case "run":
      world.run(one.nth % Math.max(world.ready.length, 1));
      return;
    case "retry":
      world.run(one.nth % Math.max(world.ready.length, 1), real(world, one.wants));
      return;
    case "cancel":
      return world.cancel(one.nth);
    case "time":
      world.now += one.millis;
      return world.act(table.timePassed(world.now));
  }
  if (who === undefined) return;
  switch (one.kind) {
    case "send":
      // A client flushes what it changed before it asks for a change of it.
      for (const wanted of real(world, one.wants)) who.flushDirty(wanted.ino);
      return who.send(real(world, one.wants));
    case "receive":
      world.receive(who);
      return;
    case "reply":
      return who.receiveReply();
    case "recall":
      return who.receiveRecall();
    case "flush":
      who.flush(one.nth);
      return;
    case "acknowledge":
      who.acknowledge(one.nth);
      return;
    case "blocked":
      who.up.push({ kind: "blocked" });
      return;
    case "end":
      world.end(who);
      world.join(who.stubborn);
      return;
  }
  if (which === undefined) return;
  switch (one.kind) {
    case "write": {
      const part = parts[one.part];
      return part === undefined ? undefined : world.writeLocally(who, which, part);
    }
    case "release":
      return who.release(which);
    case "close":
      return who.close(which, one.still ? "reading" : undefined);
    case "forget":
      return table.forgotten(who.id, [which]);
  }
  throw new Error(`${String(now)}: unknown action`);
}

/** The inodes are numbers of the world's. */
function real(
  world: World,
  wanted: readonly (Omit<Want, "ino" | "changes" | "open"> & {
    ino: number;
    changes?: LeaseScope[] | undefined;
    open?: Want["open"] | undefined;
  })[],
): Want[] {
  return wanted.map(({ ino: index, level: asked, changes, insist, open }) => {
    const found = world.inos[index];
    assert(found !== undefined);
    return {
      ino: found,
      level: asked,
      ...(changes === undefined ? {} : { changes }),
      ...(insist === true ? { insist } : {}),
      ...(open === undefined ? {} : { open }),
    };
  });
}

export const story = fc.array(action, { minLength: 20, maxLength: 120, size: "max" });
