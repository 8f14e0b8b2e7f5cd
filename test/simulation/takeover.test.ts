/** Two name servers, one of which has taken over: there is no moment at which both serve. */
import test from "ava";
import { statusOf } from "./settle.ts";
import { shapeOf } from "./shape.ts";
import { World } from "./world.ts";

for (const isKilled of [false, true]) {
  const when = isKilled ? ", also when it is killed at once and started again" : "";
  test.serial(`a name server that recovered serves only when the one before cannot any more${when}`, async (t) => {
    const world = new World({ seed: 1, ...shapeOf(1) });
    const { events, network } = world;
    const giveImmediatesBack = events.takeImmediates();
    t.teardown(giveImmediatesBack);
    const serves = (host: string): boolean => {
      const running = world.running(host);
      return running?.kind === "name-server" && running.server.status().copies?.serving === true;
    };
    for (const host of world.hosts()) world.start(host);
    t.true(await events.runUntil(() => world.isWhole && isCopied(world), 60_000));
    // It hears nothing of what happens to its nodes: its clients are on its side.
    for (const node of world.hosts("storage-node")) {
      network.links.cut(node, "names");
      network.links.cut("names", node);
    }
    world.failOver();
    const isRecovered = (): boolean => {
      const { disk } = world.host("names-2");
      return disk.has("server") && !disk.has("recovering");
    };
    t.true(await events.runUntil(isRecovered, 60_000));
    t.true(serves("names"), "the one before may still think so");
    if (isKilled) world.kill("names-2", { restartMillis: 0 });
    let areBoth = false;
    const isOver = (): boolean => {
      areBoth ||= serves("names") && serves("names-2");
      return serves("names-2");
    };
    t.true(await events.runUntil(isOver, 60_000));
    t.false(areBoth);
    t.deepEqual(world.problems, []);
  });
}

/** All nodes keep the register, and one of them a whole copy. */
function isCopied(world: World): boolean {
  const copies = statusOf(world)?.copies;
  return copies?.nodes === world.hosts("storage-node").length && copies.members.some(({ complete }) => complete);
}
