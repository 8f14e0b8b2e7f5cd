/** All conformance cases, in the order in which they run. */
import type { ConformanceCase } from "../case.ts";
import { pathErrorCases } from "./path-errors.ts";
import { unlinkCases } from "./unlink.ts";

export const allCases: readonly ConformanceCase[] = [...unlinkCases, ...pathErrorCases];

const titles = new Set<string>();
for (const { title } of allCases) {
  if (titles.has(title)) throw new Error(`two cases are called ${JSON.stringify(title)}`);
  titles.add(title);
}
