/** A folder of the real disk for one test, removed when the test ends. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ExecutionContext } from "ava";

export async function temporaryFolder(t: ExecutionContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "dfs-test-"));
  t.teardown(() => rm(path, { recursive: true, force: true }));
  return path;
}
