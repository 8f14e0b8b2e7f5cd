/** Giving back what was changed here: nothing is acknowledged before the server has it, however often it is asked for. */
import test from "ava";
import { aheadMount, type AheadMount } from "./ahead-mount.ts";
import { createFile, from, turns, writing } from "./mount.ts";

/** A file with unsent data that this client holds alone; its flush for a recall takes as long as the test wants. */
async function dirty(): Promise<AheadMount & { readonly ino: number; readonly finish: () => void }> {
  const mount = await aheadMount();
  const { operations, work, log, contents, server } = mount;
  const { entry, opened } = await createFile(operations, "file", { parent: work });
  const { ino } = entry.attributes;
  await log.flush();
  await operations.write(from(), ino, opened.handle, 0, Buffer.from("x"), writing);
  let finish = (): void => undefined;
  contents.recallGate = new Promise((resolve) => {
    finish = resolve;
  });
  server.leases.takeNews();
  return { ...mount, ino, finish };
}

test("a recall that comes again while unsent data is on its way is not acknowledged before that has arrived", async (t) => {
  const { server, vfs, ino, finish } = await dirty();
  const recall = server.leases.recallOf(ino as never, "none");
  for (let i = 0; i < 2; i++) {
    void vfs.events.handlers.recallLeases({ recalls: [recall] }, {} as never);
    await turns();
    t.false(server.leases.takeNews().includes("acknowledged"), `time ${String(i + 1)}`);
  }
  finish();
  await turns(100);
  t.true(server.leases.takeNews().includes("acknowledged"));
  t.is(server.get(ino as never).size, 1);
});

test("nor is a recall of what is left, behind one that is being flushed", async (t) => {
  const { server, ino, finish } = await dirty();
  const first = server.leases.recall(ino as never, "shared");
  const second = server.leases.recall(ino as never, "none");
  await turns();
  t.false(server.leases.takeNews().includes("acknowledged"));
  finish();
  await Promise.all([first, second]);
  t.is(server.get(ino as never).size, 1);
});
