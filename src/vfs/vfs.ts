/**
 * POSIX behaviour of one mount: `Operations` for the kernel over the name server and the content of files.
 *
 * The name server's events exist before the session (they are given to its opening); the operations after it.
 */
import type { Clock } from "../base/clock.ts";
import { assert } from "../base/assert.ts";
import { errnoOf } from "../base/errno.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import type { Contents } from "../cache/types.ts";
import type { Operations } from "../fuse/operations.ts";
import type { NameServer, NameServerEvents } from "../remote/types.ts";
import { createAccessTimes } from "./access-times.ts";
import { adoptionOperations } from "./adoption.ts";
import { attributeOperations } from "./attributes.ts";
import { createBackground } from "./background.ts";
import { leasedNameServer } from "../cache/leased-name-server.ts";
import { createLeases, type Leases } from "../cache/leases.ts";
import { createCoherence } from "./coherence.ts";
import type { Core } from "./core.ts";
import { creationOperations } from "./creation.ts";
import { createDentryCache } from "./dentry-cache.ts";
import { directoryOperations } from "./directories.ts";
import { fileOperations } from "./files.ts";
import { createForgotten } from "./forgotten.ts";
import { createHandles } from "./handles.ts";
import { createIdentity, readProcessGroups, type ReadGroups } from "./identity.ts";
import { createInodeContents } from "./inode-contents.ts";
import { createInodeTable, type InodeTable } from "./inode-table.ts";
import { createInvalidations } from "./invalidations.ts";
import { createIntent } from "./intent.ts";
import { createKernelCaches } from "./kernel-caches.ts";
import { createListAhead } from "./list-ahead.ts";
import { lockOperations } from "./locks.ts";
import { nameOperations } from "./names.ts";
import { createOrphans } from "./orphans.ts";
import { createReadAlong } from "./read-along.ts";
import { createRecalls, type Recalls } from "./recalls.ts";
import { rangeOperations } from "./ranges.ts";
import { removalOperations } from "./removal.ts";
import { createSessionEvents } from "./session.ts";
import { transferOperations } from "./transfer.ts";
import { xattrOperations } from "./xattrs.ts";

export interface VfsOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Default: from /proc. */
  readonly readGroups?: ReadGroups;
  /** False: noatime. Default: relatime. */
  readonly accessTimes?: boolean;
  /** How many inodes' attributes and how many names are remembered. */
  readonly attributesMax?: number;
  readonly dentriesMax?: number;
  readonly foreseenMax?: number;
  /** Names of one directory that are listed ahead of lookups. */
  readonly listAheadMax?: number;
  readonly idleContentsMax?: number;
  /** The lowest handle to give: those below belong to drivers that this one took over from. Default: 1. */
  readonly firstHandle?: number;
}

export interface Vfs {
  /** To be given to the opening of the name server's session. */
  readonly events: NameServerEvents;
  /** The session's name server, whose grants are taken in here: for the contents and for `attach`. */
  leased(nameServer: NameServer): NameServer;
  /** Once, when the session is open; `stop` of the operations shuts both down. */
  attach(servers: { readonly nameServer: NameServer; readonly contents: Contents }): Operations;
  readonly statistics: VfsStatistics;
}

interface VfsStatistics {
  readonly inodes: number;
  readonly attributes: number;
  readonly dentries: number;
  readonly handles: number;
  readonly leases: number;
}

export function createVfs(options: VfsOptions): Vfs {
  const { clock, log } = options;
  const leases = createLeases(clock);
  let core: Core | undefined;
  let recalls: Recalls | undefined;
  return {
    events: createSessionEvents({ leases, clock, log, core: () => core, recalls: () => recalls }),
    leased: (nameServer) => leasedNameServer(nameServer, leases),
    attach(servers) {
      assert(core === undefined, "a vfs is attached once");
      core = createCore(options, leases, servers);
      recalls = createRecalls(core);
      return allOperations(core);
    },
    get statistics() {
      return {
        inodes: core?.inodes.size ?? 0,
        attributes: core?.inodes.attributesCount ?? 0,
        dentries: core?.dentries.size ?? 0,
        handles: core?.handles.openCount ?? 0,
        leases: leases.size,
      };
    },
  };
}

function createCore(
  options: VfsOptions,
  leases: Leases,
  { nameServer, contents }: { readonly nameServer: NameServer; readonly contents: Contents },
): Core {
  const { clock, log } = options;
  const background = createBackground(log);
  const invalidations = createInvalidations(background);
  const coherence = createCoherence(leases, invalidations);
  const dentries = createDentryCache(options.dentriesMax ?? limits.clientDentriesMax);
  const table = (): InodeTable => inodes;
  const inodeContents = createInodeContents({
    contents,
    inodes: table,
    readAlong: () => readAlong,
    coherence,
    background,
    log,
    idleMax: options.idleContentsMax ?? limits.clientIdleContentsMax,
  });
  const forgotten = createForgotten({ nameServer, leases, clock });
  const inodes = createInodeTable({
    coherence,
    attributesMax: options.attributesMax ?? limits.clientAttributesMax,
    foreseenMax: options.foreseenMax ?? limits.clientForeseenMax,
    unused: (inode) => {
      inodeContents.retire(inode);
    },
    gone: (ino) => {
      forgotten.add(ino);
    },
  });
  const namesMax = options.listAheadMax ?? limits.clientListAheadNamesMax;
  const listAhead = createListAhead({ nameServer, coherence, inodes, dentries, background, namesMax });
  const readAlong = createReadAlong({ inodes, dentries, coherence, inodeContents: () => inodeContents });
  return {
    nameServer,
    contents,
    leases,
    clock,
    log,
    background,
    coherence,
    inodes,
    dentries,
    listAhead,
    intent: createIntent({ nameServer, leases, inodes, listAhead, background }),
    handles: createHandles(options.firstHandle ?? 1),
    identity: createIdentity(options.readGroups ?? readProcessGroups),
    inodeContents,
    readAlong,
    invalidations,
    orphans: createOrphans(nameServer, background),
    accessTimes: createAccessTimes({
      nameServer,
      inodes: table,
      clock,
      background,
      log,
      enabled: options.accessTimes ?? true,
    }),
    notifier: undefined,
    kernelCaches: undefined,
  };
}

function allOperations(core: Core): Operations {
  return {
    start(notifier) {
      core.notifier = notifier;
      core.kernelCaches = createKernelCaches({ notifier, clock: core.clock, inodeOf: (ino) => core.inodes.get(ino) });
      core.coherence.start(notifier);
      core.invalidations.start(notifier);
    },
    stop: () => stop(core),
    ...adoptionOperations(core),
    ...nameOperations(core),
    ...attributeOperations(core),
    ...creationOperations(core),
    ...removalOperations(core),
    ...fileOperations(core),
    ...transferOperations(core),
    ...rangeOperations(core),
    ...directoryOperations(core),
    ...xattrOperations(core),
    ...lockOperations(core),
  };
}

/** Everything written is durable before the session ends; what fails is said and does not keep the rest from ending. */
async function stop(core: Core): Promise<void> {
  const attempt = async (what: string, run: () => Promise<unknown>): Promise<void> => {
    try {
      await run();
    } catch (error) {
      core.log.error({ errno: errnoOf(error), error: String(error) }, `at the end of the mount: ${what}`);
    }
  };
  await attempt("flush", () => core.contents.flushAll());
  await attempt("store access times", () => core.accessTimes.flush());
  await attempt("send what ran ahead", () => core.nameServer.ahead.flush());
  core.inodes.forgetAll();
  await core.background.settled();
  await attempt("shut the caches down", () => core.contents.shutdown());
  await attempt("end the session", () => core.nameServer.close());
}
