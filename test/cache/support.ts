/** One client over a fake cluster, and what tests ask of it. */
import type { Ino } from "../../src/base/ids.ts";
import { limits } from "../../src/base/limits.ts";
import { silentLog } from "../../src/base/log.ts";
import type { ContentLimits } from "../../src/cache/content-context.ts";
import { createContents } from "../../src/cache/contents.ts";
import type { Contents, FileContent, ReadPieces } from "../../src/cache/types.ts";
import type { LeaseLevel } from "../../src/protocol/leases.ts";
import { SimulatedClock } from "../support/simulated-clock.ts";
import { FakeCluster, ino } from "./fake-cluster.ts";

export const KiB = 1024;
export const MiB = 1024 * KiB;

export interface Client {
  readonly cluster: FakeCluster;
  readonly clock: SimulatedClock;
  readonly contents: Contents;
  readonly lost: Error[];
  readonly open: (which?: Ino) => FileContent;
  /** Gives the lease on all files back, as a recall does; resolves when they are flushed. */
  readonly giveBack: (to?: "none" | "shared") => Promise<void>;
  /** Has a lease on all files from now on, and their sizes with it. */
  readonly gain: (level: "shared" | "exclusive") => void;
  /** The kernel keeps what it reads. */
  insists: boolean;
}

/** Has an exclusive lease on all files, or what `lease` says. */
export function startClient(
  options: { limits?: Partial<ContentLimits>; lease?: LeaseLevel; cluster?: FakeCluster } = {},
): Client {
  const cluster = options.cluster ?? new FakeCluster();
  const clock = new SimulatedClock();
  const { nameServer, reader, writer } = cluster;
  const live = new Proxy(nameServer, {
    get: (target, key) => (key === "bytesFree" ? cluster.bytesFree : (Reflect.get(target, key) as unknown)),
  });
  const contents = createContents({
    nameServer: live,
    reader,
    writer,
    clock,
    log: silentLog,
    limits: { ...limits, ...options.limits },
  });
  let lease = options.lease ?? "exclusive";
  let moment = 1;
  let leasedAt = 1;
  const files = new Map<Ino, FileContent>();
  const lost: Error[] = [];
  const open = (which: Ino = ino): FileContent => {
    const owner = {
      ino: which,
      get mayCache() {
        return lease !== "none";
      },
      get mayBuffer() {
        return lease === "exclusive";
      },
      get insists() {
        return client.insists;
      },
      replicas: undefined,
      get moment() {
        return moment;
      },
      holds: (since: number) => lease !== "none" && since >= leasedAt,
      runsAhead: false,
      companions: () => [],
      companionsRead: () => undefined,
      serverAttributes: () => undefined,
      lost: (error: Error) => lost.push(error),
    };
    const file = contents.open(owner, cluster.attributes(which));
    files.set(which, file);
    return file;
  };
  const giveBack = async (to: "none" | "shared" = "none"): Promise<void> => {
    lease = to === "shared" && lease === "none" ? "none" : to;
    moment++;
    if (to === "none") for (const which of files.keys()) contents.forget(which);
    await Promise.all(Array.from(files.keys(), (which) => contents.flushForRecall(which)));
  };
  const gain = (level: "shared" | "exclusive"): void => {
    if (lease === "none") leasedAt = ++moment;
    if (lease !== "exclusive") lease = level;
    for (const [which, file] of files) file.serverSize(cluster.attributes(which).size);
  };
  const client: Client = { cluster, clock, contents, lost, open, giveBack, gain, insists: false };
  return client;
}

export async function readAll(file: FileContent, offset = 0, length = file.size): Promise<Buffer> {
  return joined(await file.read(offset, length));
}

/** A copy; lets go of the pieces. */
export function joined({ pieces, release }: ReadPieces): Buffer {
  const bytes = Buffer.concat(pieces);
  release?.();
  return bytes;
}

export function at(time: number): { time: bigint; clearPrivileges: boolean } {
  return { time: BigInt(time), clearPrivileges: false };
}

/** Bytes that tell their place: each differs from its neighbours and from another seed's. */
export function patterned(length: number, seed: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let i = 0; i < length; i++) bytes[i] = (Math.imul(i + 1, 0x9e3779b1) ^ Math.imul(seed + 1, 0x85ebca6b)) >>> 23;
  return bytes;
}

/** Runs time until the promise has settled. */
export async function untilSettled<T>(clock: SimulatedClock, promise: Promise<T>, millisMax = 600_000): Promise<T> {
  const state = { isSettled: false };
  const watched = promise.finally(() => (state.isSettled = true));
  watched.catch(() => undefined);
  for (let passed = 0; !state.isSettled && passed < millisMax; passed += 5) await clock.advance(5);
  if (!state.isSettled) throw new Error(`nothing happened within ${String(millisMax)} ms`);
  return watched;
}
