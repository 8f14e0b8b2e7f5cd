/** Random interleavings of everything that may happen; `World` checks after every step what must hold. */
import { strict as assert } from "node:assert";
import test from "ava";
import fc from "fast-check";
import type { LeaseBounds } from "../../../src/name-server/leases/types.ts";
import { inodes, perform, story } from "./story.ts";
import { World } from "./world.ts";

function worldOf(clients: number, stubborn: number, bounds: Partial<LeaseBounds>): World {
  const world = new World(inodes, bounds);
  for (let index = 0; index < clients; index++) world.join(index < stubborn);
  return world;
}

const runs = Number(process.env["DFS_LEASE_RUNS"] ?? 1_000);

test("nobody keeps what is not true, requests run in order, and all are answered when holders acknowledge", (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 5 }), fc.boolean(), story, (clients, tight, actions) => {
      const world = worldOf(clients, 0, tight ? { leasesPerSessionMax: 3 } : {});
      for (const one of actions) {
        perform(world, one);
        world.check();
      }
      world.drain();
      assert.equal(world.waiting, 0, "somebody waits for ever");
      world.giveBack();
    }),
    { numRuns: runs, includeErrorInReport: true },
  );
  t.pass();
});

test("a client that can drop nothing before its own changes are answered does not stop the others", (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 4 }), story, (clients, actions) => {
      const world = worldOf(clients, 1, {});
      for (const one of actions) perform(world, one);
      world.drain();
      assert.equal(world.waiting, 0, "somebody waits for ever");
      world.giveBack();
    }),
    { numRuns: runs, includeErrorInReport: true },
  );
  t.pass();
});

test("clients that block each other come apart one by one when time passes", (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 5 }), story, (clients, actions) => {
      const world = worldOf(clients, clients, {});
      for (const one of actions) perform(world, one);
      for (let round = 0; world.waiting > 0; round++) {
        assert(round <= clients, "time does not help");
        world.drain();
        world.now += 10_000;
        world.act(world.table.timePassed(world.now));
      }
      world.giveBack();
    }),
    { numRuns: runs, includeErrorInReport: true },
  );
  t.pass();
});
