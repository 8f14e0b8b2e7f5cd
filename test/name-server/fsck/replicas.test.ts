/** How many copies a file is to have is kept beside what says that it has xattrs. */
import test from "ava";
import { keys } from "../../../src/metadata-store/keys.ts";
import { decodeInode, encodeInode, replicasOfInode, withReplicas } from "../../../src/metadata-store/records.ts";
import { CheckedStore } from "./support.ts";

test("a number of copies that was set is no damage, and repairs leave it", async (t) => {
  const made = await CheckedStore.open(t);
  const { folder, small, large } = made.tree;
  const record = (ino: typeof small): ReturnType<typeof decodeInode> =>
    decodeInode(made.store.get(keys.inode(ino)) as Buffer);
  // `small` has xattrs, the others have none.
  for (const ino of [folder, small, large]) {
    made.damage([keys.inode(ino), encodeInode(withReplicas(record(ino), 3))]);
  }
  t.deepEqual((await made.check()).found, []);
  for (const ino of [small, large]) {
    made.damage([keys.inode(ino), encodeInode({ ...record(ino), xattrCount: 5 })]);
  }
  t.is((await made.check({ repair: true })).summary.repaired, 2);
  t.deepEqual((await made.check()).found, []);
  for (const ino of [folder, small, large]) t.is(replicasOfInode(record(ino)), 3);
});
