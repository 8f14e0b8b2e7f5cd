import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { silentLog } from "../../src/base/log.ts";
import { Device } from "../../src/fuse/device.ts";

test("an answer that comes after the end is written nowhere, whoever has the descriptor's number then", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "dfs-device-"));
  const [first, second] = [join(folder, "first"), join(folder, "second")];
  try {
    for (const path of [first, second]) writeFileSync(path, "");
    const device = new Device(silentLog, { path: first });
    t.true(device.write(Buffer.from("before"), 6));
    const number = device.fd;
    device.close();
    const other = openSync(second, "r+");
    t.is(other, number, "the number is used again");
    t.false(device.write(Buffer.from("late"), 4));
    t.false(device.writePieces(Buffer.alloc(64), [Buffer.from("late")]));
    closeSync(other);
    t.is(readFileSync(first, "latin1"), "before");
    t.is(readFileSync(second, "latin1"), "");
  } finally {
    rmSync(folder, { recursive: true });
  }
});
