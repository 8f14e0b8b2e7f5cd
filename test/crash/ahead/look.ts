/**
 * Says what is in folders, one line of JSON (Found) for each, in the order in which they are given:
 *
 *   node --import=tsx test/crash/ahead/look.ts FOLDER...
 */
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { digestOf } from "./contents.ts";
import type { Found, FoundEntry } from "./found.ts";

for (const folder of process.argv.slice(2)) console.log(JSON.stringify(look(folder)));

function look(folder: string): Found {
  const entries: FoundEntry[] = [];
  const unreadable: string[] = [];
  const visit = (path: string): void => {
    try {
      const entry = describe(folder, path);
      entries.push(entry);
      if (entry.type !== "directory") return;
      for (const name of readdirSync(join(folder, path))) visit(join(path, name));
    } catch (error) {
      unreadable.push(`${path}: ${String(error)}`);
    }
  };
  visit(".");
  return { entries, unreadable };
}

function describe(folder: string, path: string): FoundEntry {
  const full = join(folder, path);
  const stat = lstatSync(full, { bigint: true });
  const common = {
    path,
    ino: Number(stat.ino),
    mode: Number(stat.mode) & 0o7777,
    nlink: Number(stat.nlink),
    mtime: String(stat.mtimeNs),
  };
  if (stat.isDirectory()) return { ...common, type: "directory" };
  if (stat.isSymbolicLink()) return { ...common, type: "symlink", target: readlinkSync(full) };
  if (!stat.isFile()) throw new Error("neither a file, a directory nor a symlink");
  const content = readFileSync(full);
  if (BigInt(content.length) !== stat.size) throw new Error(`${String(stat.size)} bytes by its attributes`);
  return { ...common, type: "file", digest: digestOf(content) };
}
