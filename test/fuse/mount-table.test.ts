import test from "ava";
import { findMount, parseMounts } from "../../src/fuse/mount-table.ts";

const table = [
  "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw",
  "36 22 0:52 / /mnt/my\\040dfs rw,relatime - fuse.dfs 127.0.0.1:7400 rw,user_id=0,allow_other",
  "37 22 0:53 / /mnt/twice rw shared:7 master:1 - tmpfs below rw",
  "38 22 0:54 / /mnt/twice rw - fuse.dfs above rw",
  "",
].join("\n");

test("a mount is found by its mount point, with escaped characters restored", (t) => {
  t.deepEqual(findMount(table, "/mnt/my dfs"), {
    device: "0:52",
    mountPoint: "/mnt/my dfs",
    type: "fuse.dfs",
    source: "127.0.0.1:7400",
  });
  t.is(findMount(table, "/mnt"), undefined);
});

test("of two mounts at one place the upper one is found", (t) => {
  t.is(findMount(table, "/mnt/twice")?.source, "above");
});

test("lines that are cut or empty are left out", (t) => {
  t.is(parseMounts(table).length, 4);
  t.deepEqual(parseMounts("36 22 0:52 / /mnt rw - \n1 2\n"), []);
});
