/** A folder in which `dfs load` was killed: what it had got so far is in a folder of its own, which nobody serves. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { CommandFailure } from "./failure.ts";

export const loadingName = "loading";

export function refuseHalfLoaded(folder: string): void {
  if (!existsSync(join(folder, loadingName))) return;
  throw new CommandFailure(`dfs load did not finish in ${folder}: remove that folder, and load again`);
}
