/** All conformance cases, in the order in which they run. */
import type { ConformanceCase } from "../case.ts";
import { linkCases } from "./link.ts";
import { openSpecialCases } from "./open-special.ts";
import { openCases } from "./open.ts";
import { pathErrorCases } from "./path-errors.ts";
import { symlinkCases } from "./symlink.ts";
import { renameCases } from "./rename.ts";
import { renameFlagCases } from "./rename-flags.ts";
import { directoryCases } from "./directories.ts";
import { specialFileCases } from "./special-files.ts";
import { chmodCases } from "./chmod.ts";
import { chownCases } from "./chown.ts";
import { truncateCases } from "./truncate.ts";
import { utimensCases } from "./utimens.ts";
import { statCases, accessCases } from "./stat.ts";
import { readWriteCases, seekCases } from "./read-write.ts";
import { fallocateCases, holeCases } from "./holes.ts";
import { copyRangeCases } from "./copy-range.ts";
import { mmapCases } from "./mmap.ts";
import { xattrCases } from "./xattr.ts";
import { aclCases } from "./acl.ts";
import { aclInheritanceCases } from "./acl-inheritance.ts";
import { readdirCases } from "./readdir.ts";
import { lockCases } from "./locks.ts";
import { lockOwnerCases } from "./lock-owners.ts";
import { stickyCases } from "./sticky-setgid.ts";
import { descriptorCases, unlinkedCases, programCases } from "./descriptors.ts";
import { nameCases, umaskCases } from "./names.ts";
import { timeCases } from "./times.ts";
import { directCases, sizeLimitCases, killedCases } from "./direct.ts";
import { unlinkCases } from "./unlink.ts";

export const allCases: readonly ConformanceCase[] = [
  ...openCases,
  ...openSpecialCases,
  ...linkCases,
  ...unlinkCases,
  ...symlinkCases,
  ...renameCases,
  ...renameFlagCases,
  ...directoryCases,
  ...specialFileCases,
  ...chmodCases,
  ...chownCases,
  ...truncateCases,
  ...utimensCases,
  ...statCases,
  ...accessCases,
  ...readWriteCases,
  ...seekCases,
  ...fallocateCases,
  ...holeCases,
  ...copyRangeCases,
  ...mmapCases,
  ...xattrCases,
  ...aclCases,
  ...aclInheritanceCases,
  ...readdirCases,
  ...lockCases,
  ...lockOwnerCases,
  ...stickyCases,
  ...descriptorCases,
  ...unlinkedCases,
  ...programCases,
  ...nameCases,
  ...umaskCases,
  ...timeCases,
  ...directCases,
  ...sizeLimitCases,
  ...killedCases,
  ...pathErrorCases,
];

const titles = new Set<string>();
for (const { title } of allCases) {
  if (titles.has(title)) throw new Error(`two cases are called ${JSON.stringify(title)}`);
  titles.add(title);
}
