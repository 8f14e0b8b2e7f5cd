/**
 * Runs all conformance cases in one directory: node --import=tsx test/conformance/run.ts DIR [TITLE-PART]
 * Prints one JSON line per case: { title, error } (error null: passed). For people: --text.
 */
import { chmodSync, mkdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Place } from "./case.ts";
import { allCases } from "./cases/index.ts";
import { sys } from "./libc/sys.ts";
import { Peer } from "./peer.ts";

const [where, ...rest] = process.argv.slice(2).filter((arg) => !arg.startsWith("--"));
if (where === undefined) {
  console.error("usage: run.ts DIR [PART OF A TITLE] [--text]");
  process.exit(2);
}
const asText = process.argv.includes("--text");
const base = join(resolve(where), `conformance-${String(process.pid)}`);
mkdirSync(base);
chmodSync(base, 0o777);
sys.umask(0o022);
let peer: Peer | undefined;
let failed = 0;
let count = 0;

for (const { title, run } of allCases) {
  if (rest.some((part) => !title.includes(part))) continue;
  const dir = join(base, String(count++));
  mkdirSync(dir);
  chmodSync(dir, 0o777);
  const place: Place = {
    dir,
    path: (name) => join(dir, name),
    get peer() {
      peer ??= new Peer();
      return peer;
    },
  };
  let error: string | null = null;
  try {
    run(place);
  } catch (caught) {
    error =
      caught instanceof Error ? (caught.stack ?? caught.message).split("\n").slice(0, 6).join("\n") : String(caught);
    failed += 1;
    // Whatever it left the other process in, the next case starts afresh.
    peer?.close();
    peer = undefined;
  }
  sys.umask(0o022);
  process.chdir("/");
  if (!asText) console.log(JSON.stringify({ title, error }));
  else if (error !== null) console.log(`not ok ${title}\n${error}`);
}
peer?.close();
rmSync(base, { recursive: true, force: true });
if (asText) console.log(`${String(count - failed)} passed, ${String(failed)} failed`);
