/**
 * What the lease rules are asked and what they answer. Everything here is data: `table.ts` decides, the caller acts.
 * All times are milliseconds of listening time (see listening.ts), given by the caller.
 */
import type { Ino, SessionId } from "../../base/ids.ts";
import type { LeaseGrant, LeaseLevel, LeaseRecall, LeaseScope } from "../../protocol/leases.ts";

/** What a request needs of one inode before it may run, and what its session would like to have afterwards. */
export interface Want {
  readonly ino: Ino;
  /**
   * What to grant with the reply, if nobody minds. A change of everything that wants `exclusive` takes others' leases as
   * a whole; any other gets it only if nobody else has a lease then.
   */
  readonly level: LeaseLevel;
  /** Present: the request changes these parts of the inode. Absent: it reads it. */
  readonly changes?: readonly LeaseScope[];
  /**
   * The kernel keeps what it reads or writes whatever it is told (pages of a file that was opened under a lease, or is
   * mapped): a shared lease is granted although the inode bounces or somebody waits for it.
   */
  readonly insist?: boolean;
}

/**
 * A request in the table. `waiting`: for its turn or for others' leases. `ready`: it may run, and that stays so until it
 * is completed. `gone`: completed, cancelled, or its session has ended.
 */
export interface LeaseRequest<Task> {
  readonly session: SessionId;
  readonly wants: readonly Want[];
  readonly state: "waiting" | "ready" | "gone";
  /** The caller's: how to go on when it is ready. */
  readonly task: Task;
}

/** What the caller has to do now, in this order: send, end, run. */
export interface Effects<Task> {
  /** To be sent at once; numbers of one inode rise. */
  readonly recalls: readonly SentRecall[];
  /** They left a recall unanswered for too long. */
  readonly ends: readonly SessionId[];
  /** These have become ready. */
  readonly runs: readonly LeaseRequest<Task>[];
}

export interface SentRecall {
  readonly session: SessionId;
  readonly recall: LeaseRecall;
}

export interface LeaseTable<Task> {
  /**
   * Whether a request could run now: nobody has to be asked, nobody waits for any of its inodes. Then it may run in this
   * same step without being registered, and `take` stands for its completion.
   */
  isFree(session: SessionId, wants: readonly Want[]): boolean;
  take(
    session: SessionId,
    wants: readonly Want[],
    now: number,
  ): { readonly grants: LeaseGrant[]; readonly effects: Effects<Task> | undefined };
  /**
   * A request takes its place behind all earlier ones that mind. EAGAIN: this session has too many waiting. With nothing
   * in the way it is in `runs` of the very same call.
   */
  request(
    ask: { session: SessionId; wants: readonly Want[]; task: Task },
    now: number,
  ): { readonly request: LeaseRequest<Task>; readonly effects: Effects<Task> };
  /** The same request turned out to need other inodes (what it resolved has changed): it keeps its place by arrival. */
  retry(request: LeaseRequest<Task>, wants: readonly Want[], now: number): Effects<Task>;
  /**
   * A ready request has run: its grants, decided now, have to ride on the reply that is made in this same turn. Without
   * `granting` (the request failed) it leaves without any.
   */
  complete(
    request: LeaseRequest<Task>,
    now: number,
    options?: { granting: boolean },
  ): { readonly grants: LeaseGrant[]; readonly effects: Effects<Task> };
  /** A lease on an inode that a ready request talks about beside its wants (entries of a listing, a new inode). Never recalls. */
  offer(session: SessionId, want: Pick<Want, "ino" | "level">, now: number): LeaseGrant | undefined;
  /** Inodes that this session has made, and counts on holding alone; not granted only if somebody else has a lease. */
  made(
    session: SessionId,
    inos: readonly Ino[],
    now: number,
  ): { readonly grants: LeaseGrant[]; readonly effects: Effects<Task> };
  /** What a session has of an inode, unless that is being taken away. */
  grantOf(session: SessionId, ino: Ino): LeaseGrant | undefined;
  /** The caller gave up, or nobody is there to be answered. */
  cancel(request: LeaseRequest<Task>, now: number): Effects<Task>;

  /** A holder has sent all that it had changed, and changes nothing more by itself; its caches are still being dropped. */
  flushed(session: SessionId, ino: Ino, number: number, now: number): Effects<Task>;
  /** A holder has done what the recall of this number asked for. */
  acknowledged(session: SessionId, ino: Ino, number: number, now: number): Effects<Task>;
  /** A holder is flushing, and some of it has arrived. */
  progress(session: SessionId, now: number): void;
  /**
   * A holder cannot finish its recalls before its own changing requests are answered: those that wait go first, and so do
   * those that come before it has finished.
   */
  blocked(session: SessionId, now: number): Effects<Task>;
  /** A session has only a shared lease from now on, unless it was granted another one after the one of this number. */
  lowered(session: SessionId, ino: Ino, number: number, now: number): Effects<Task>;
  /** The kernel forgot these inodes: they are the first to be trimmed. */
  forgotten(session: SessionId, inos: readonly Ino[]): void;
  /** A session that was there before a restart says what it had; undefined: somebody else has it, it has to drop it. */
  reclaim(session: SessionId, held: Reclaimed): LeaseGrant | undefined;
  /** The connection was replaced: recalls may have been lost with it, and are sent again. */
  resumed(session: SessionId, now: number): Effects<Task>;
  /** The end of a session is committed: nothing of it is left. */
  sessionEnded(session: SessionId, now: number): Effects<Task>;
  timePassed(now: number): Effects<Task>;

  /** What the session may write out of turn: nobody else believes anything of it, and it holds it or gives it back. */
  mayFlush(session: SessionId, ino: Ino): boolean;
  /** Whether no other session has a lease on it. */
  isAlone(session: SessionId, ino: Ino): boolean;
  /** How many leases it has. */
  held(session: SessionId): number;
  holders(ino: Ino): readonly HolderView[];
  readonly statistics: LeaseStatistics;
}

export interface Reclaimed {
  readonly ino: Ino;
  readonly level: Exclude<LeaseLevel, "none">;
}

export interface HolderView {
  readonly session: SessionId;
  readonly level: LeaseLevel;
  readonly recalled: LeaseRecall["to"] | undefined;
}

export interface LeaseStatistics {
  /** Inodes about which anything is remembered. */
  readonly inodes: number;
  readonly sessions: number;
  readonly recalls: number;
  readonly waiting: number;
  /** Inodes of which recent recalls are remembered. */
  readonly bouncing: number;
}

export interface LeaseBounds {
  readonly leasesPerSessionMax: number;
  readonly waitersPerSessionMax: number;
  readonly recallMillis: number;
  readonly recallMillisMax: number;
}
