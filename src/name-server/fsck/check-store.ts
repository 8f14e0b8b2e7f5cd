/** All passes over one pinned state, in order. */
import { checkAccounts, checkPacks, checkQueue, checkRanges } from "./check-blocks.ts";
import { checkContents } from "./check-contents.ts";
import { checkInodes, checkOrphans, checkTargets, checkXattrs, type Inodes } from "./check-inodes.ts";
import { checkEntries, checkLinks, checkTree } from "./check-names.ts";
import type { Check } from "./types.ts";

export async function checkStore(check: Check, stage: (text: string) => void): Promise<Inodes> {
  stage("names");
  await checkEntries(check);
  await checkLinks(check);
  await checkTree(check);
  stage("inodes");
  const inodes = await checkInodes(check);
  await checkXattrs(check);
  await checkTargets(check);
  await checkOrphans(check);
  stage("contents");
  await checkContents(check, inodes);
  stage("block accounts");
  await checkAccounts(check);
  await checkPacks(check);
  await checkQueue(check);
  await checkRanges(check);
  return inodes;
}
