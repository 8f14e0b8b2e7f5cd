/**
 * Serves the in-memory filesystem from a process of its own: `node --import=tsx memory-driver.ts MNT [OPTION=VALUE...]`.
 * Says "mounted" when it is, and on SIGTERM unmounts. Options: pool=1 (reads in the thread pool), debug=1, noflush=1, flush=FILE (writes FILE
 * when stopped), statistics=1 (says at the end how many requests of each kind there were).
 */
import { writeFileSync } from "node:fs";
import { systemClock } from "../../src/base/clock.ts";
import { type Log, silentLog } from "../../src/base/log.ts";
import { mountFuse } from "../../src/fuse/driver.ts";
import { MemoryFilesystem } from "./memory-filesystem.ts";

const [mountPoint, ...words] = process.argv.slice(2);
if (mountPoint === undefined) throw new Error("usage: memory-driver.ts MNT [OPTION=VALUE...]");
const options = new Map(words.map((word) => word.split("=", 2) as [string, string]));

const say = (level: string) => (fields: object, message: string) => {
  process.stderr.write(`${level} ${message} ${JSON.stringify(fields)}\n`);
};
const log: Log = {
  ...silentLog,
  warn: say("warn"),
  error: say("error"),
  debug: say("debug"),
  debugging: options.get("debug") === "1",
  child: () => log,
};

const filesystem = new MemoryFilesystem();
filesystem.noFlush = options.get("noflush") === "1";
const mount = await mountFuse({
  mountPoint,
  source: "memory",
  operations: filesystem,
  log,
  clock: systemClock,
  options: { readsInPool: options.get("pool") === "1" },
});
process.on("SIGTERM", () => void mount.unmount());
process.stdout.write("mounted\n");
await mount.ended;
const flushed = options.get("flush");
if (flushed !== undefined) writeFileSync(flushed, filesystem.stopped ? "stopped" : "not stopped");
if (options.get("statistics") === "1") process.stdout.write(`${JSON.stringify(mount.statistics.requests)}\n`);
