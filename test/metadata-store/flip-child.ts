/**
 * Opens the store in the folder given, compares what it has with the digest given, changes and verifies it: status 0; 3: it
 * gave something else; 4: it noticed by itself that something is wrong.
 */
import { openSystemDisk } from "../../src/base/system-disk.ts";
import { openMetadataStore } from "../../src/metadata-store/open.ts";
import { digestOf, smallOptions } from "./support.ts";

const [root, digest] = process.argv.slice(2) as [string, string];
try {
  const store = await openMetadataStore({ ...smallOptions, disk: await openSystemDisk(root) });
  if (digestOf(store) !== digest) process.exit(3);
  for (let round = 0; round < 3; round++) {
    store.apply(Array.from({ length: 200 }, (_, i) => [`x${String(i)}`, Buffer.alloc(200, round)] as const));
    await store.pinned(() => Promise.resolve());
  }
  await store.verify();
  if (digestOf(store) !== digest) process.exit(3);
  await store.close();
} catch (error) {
  console.error(error);
  process.exit(4);
}
