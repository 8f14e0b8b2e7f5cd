/** Checks recorded histories by hand: node --import=tsx test/histories/check.ts FILE... (all of one recording). */
import { readFileSync } from "node:fs";
import { checkHistory } from "./check-history.ts";
import { parseHistory } from "./history.ts";

const files = process.argv.slice(2);
if (files.length === 0) {
  console.error("usage: check.ts FILE...");
  process.exit(2);
}
const verdicts = checkHistory(parseHistory(files.map((file) => readFileSync(file, "utf8"))));
for (const { object, operations, type, report } of verdicts) {
  console.log(`${object}: ${String(operations)} operations, ${type}`);
  if (report !== "") console.log(report);
}
process.exit(verdicts.every(({ type }) => type === "linearizable") ? 0 : 1);
