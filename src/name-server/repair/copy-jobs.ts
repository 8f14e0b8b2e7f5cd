/** Which copying members are filled now: the most endangered groups first, a few at a time, one per member. */
import type { Clock } from "../../base/clock.ts";
import type { GroupId, NodeId } from "../../base/ids.ts";
import type { PlacementGroup } from "../../protocol/types.ts";
import { copyGroup, type CopierParts, type PassResult } from "./copier.ts";
import { healthOf } from "./members.ts";
import type { Sizes } from "./sizes.ts";

export interface CopyJobs {
  /** Starts what there is room for, now and whenever one has ended. */
  start(): void;
  stop(group: GroupId, node: NodeId): void;
  /** Until the next start. */
  stopAll(): void;
  /** Had no space for copies lately. */
  isFull(node: NodeId): boolean;
  /** Groups in which somebody copies. */
  groups(): GroupId[];
  progress(): { readonly groupsWaiting: number; readonly bytesToGo: number };
  close(): Promise<void>;
}

const jobsMax = 4;
const retryMillis = 1_000;
const retryMillisMax = 60_000;
const fullMillis = 60_000;

interface Job {
  readonly target: NodeId;
  readonly stopping: AbortController;
  bytes: number;
  readonly over: Promise<void>;
}

interface Wait {
  readonly until: number;
  readonly failures: number;
}

export function createCopyJobs(parts: CopierParts & { clock: Clock; sizes: Sizes }): CopyJobs {
  const { maps, nodes, clock, log, sizes } = parts;
  const jobs = new Map<string, Job>();
  const waits = new Map<string, Wait>();
  const fullUntil = new Map<NodeId, number>();
  let isStopped = true;
  let isClosed = false;

  const nameOf = (group: GroupId, target: NodeId): string => `${String(group)} ${target}`;

  function copying(): PlacementGroup[] {
    return maps.groups.filter((group) => group.copying.length > 0);
  }

  function isFull(node: NodeId): boolean {
    return (fullUntil.get(node) ?? -Infinity) > clock.monotonicMillis();
  }

  /** How many whole members that are up stand between the group and its loss. */
  function safety(group: PlacementGroup): number {
    return healthOf(group, group.nodes.length, (id) => nodes.get(id)?.state === "up").wholeAndUp;
  }

  async function becomeWhole(group: GroupId, target: NodeId, job: Job): Promise<void> {
    await maps.changeMembers([group], ({ nodes: members, copying: left }) =>
      left.includes(target) && !job.stopping.signal.aborted
        ? { nodes: members, copying: left.filter((id) => id !== target) }
        : undefined,
    );
  }

  async function run(group: GroupId, target: NodeId, job: Job): Promise<void> {
    const name = nameOf(group, target);
    let result: PassResult = "incomplete";
    try {
      const pass = await copyGroup(parts, {
        ...{ group, target, signal: job.stopping.signal },
        progressed(bytes) {
          job.bytes += bytes;
        },
      });
      if (pass === "whole") await becomeWhole(group, target, job);
      result = pass;
    } catch (error) {
      log.warn({ group, node: target, problem: String(error) }, "copying a group stopped, trying again");
    }
    if (job.stopping.signal.aborted) return;
    if (result === "whole") {
      waits.delete(name);
      log.info({ group, node: target, bytes: job.bytes }, "a member of a group is whole");
      return;
    }
    const now = clock.monotonicMillis();
    if (result === "full") {
      fullUntil.set(target, now + fullMillis);
      log.warn({ group, node: target }, "a storage node has no space for copies");
    }
    // Also after a commit that failed: the next run would begin in the same turn, before the process can end.
    const failures = waits.get(name)?.failures ?? 0;
    waits.set(name, { until: now + Math.min(retryMillis * 2 ** failures, retryMillisMax), failures: failures + 1 });
  }

  function launch(group: GroupId, target: NodeId): void {
    const name = nameOf(group, target);
    const job: { -readonly [K in keyof Job]: Job[K] } = {
      ...{ target, stopping: new AbortController(), bytes: 0 },
      over: Promise.resolve(),
    };
    jobs.set(name, job);
    job.over = run(group, target, job)
      .catch((error: unknown) => {
        log.error({ err: error, group, node: target }, "a copy could not be ended");
      })
      .finally(() => {
        if (jobs.get(name) === job) jobs.delete(name);
        // Many groups have little or nothing to copy.
        if (!isStopped) launchMore();
      });
  }

  function stop(group: GroupId, node: NodeId): void {
    waits.delete(nameOf(group, node));
    jobs.get(nameOf(group, node))?.stopping.abort();
  }

  function launchMore(): void {
    if (isClosed) return;
    const now = clock.monotonicMillis();
    const targets = new Set([...jobs.values()].map(({ target }) => target));
    for (const group of copying().sort((a, b) => safety(a) - safety(b))) {
      for (const target of group.copying) {
        if (jobs.size >= jobsMax) return;
        const name = nameOf(group.group, target);
        const mayRun = nodes.get(target)?.state === "up" && !targets.has(target) && !isFull(target);
        if (!mayRun || jobs.has(name) || (waits.get(name)?.until ?? 0) > now) continue;
        targets.add(target);
        launch(group.group, target);
      }
    }
  }

  return {
    isFull,
    stop,

    start() {
      isStopped = false;
      launchMore();
    },

    stopAll() {
      isStopped = true;
      for (const { stopping } of jobs.values()) stopping.abort();
    },

    groups: () => copying().map(({ group }) => group),

    progress() {
      let bytesToGo = 0;
      let groupsWaiting = 0;
      for (const { group, copying: left } of copying()) {
        groupsWaiting++;
        for (const target of left) {
          bytesToGo += Math.max(0, (sizes.of(group) ?? 0) - (jobs.get(nameOf(group, target))?.bytes ?? 0));
        }
      }
      return { groupsWaiting, bytesToGo };
    },

    async close() {
      isClosed = true;
      await Promise.all([...jobs.values()].map(({ over }) => over));
    },
  };
}
