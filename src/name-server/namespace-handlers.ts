/**
 * How a request that is about files is answered: it waits until its leases let it run, and then, in one step, runs as a
 * function of the store and gets the leases that its reply brings. With nothing in the way that is the very step in which
 * it arrived.
 */
import type { Attributes } from "../base/attributes.ts";
import type { Ino } from "../base/ids.ts";
import type { LeaseGrant } from "../protocol/leases.ts";
import type { NameServerMethods } from "../protocol/name-server.ts";
import type { HandlerContext, Handlers, ReplyOf, RequestOf } from "../rpc/types.ts";
import type { Execution, MaybePromise } from "./execution.ts";
import type { LeaseService } from "./lease-service.ts";
import type { LeaseTurn } from "./lease-turn.ts";
import type { Want } from "./leases/types.ts";
import { directoriesOf, namespaceMethods, type NamespaceMethod, type OperationContext } from "./namespace/index.ts";
import type { MakeContext } from "./operation-context.ts";
import type { OrphanQuestions } from "./orphan-questions.ts";
import type { Replies } from "./replies.ts";
import { requestWants } from "./request-wants.ts";
import type { Sessions } from "./sessions.ts";
import type { MetadataStore } from "../metadata-store/types.ts";
import type { PeerMethods, Session } from "./types.ts";

type Method = keyof NameServerMethods;
type Listing = RequestOf<NameServerMethods, "readdir">;
export type Handler<M extends Method> = Handlers<NameServerMethods, PeerMethods>[M];
export type Changing = {
  [M in Method]: "op" extends keyof RequestOf<NameServerMethods, M> ? M : never;
}[Method];
type Context = HandlerContext<PeerMethods>;

export interface NamespaceHandlerParts {
  readonly store: MetadataStore;
  readonly sessions: Sessions;
  readonly execution: Execution;
  readonly replies: Replies;
  readonly orphans: OrphanQuestions;
  readonly leases: LeaseService;
  readonly makeContext: MakeContext;
}

type Run = (context: OperationContext, request: unknown) => object;
type WantsOf = (reader: MetadataStore, request: unknown) => readonly Want[];

const nothing: readonly Want[] = [];
/** Their new inode is for whoever made it. */
const creations: ReadonlySet<string> = new Set(["create", "mknod", "mkdir", "symlink", "tmpfile"]);

/** Answers from one state of the store, at once if that is durable. `run`: else the namespace's function of that name. */
export function readingHandler<M extends NamespaceMethod | "acquire">(
  parts: NamespaceHandlerParts,
  method: M,
  run = namespaceMethods[method as NamespaceMethod] as Run,
): Handler<M> {
  const { store, sessions, execution, leases, makeContext } = parts;
  const wantsOf = (requestWants as Partial<Record<string, WantsOf>>)[method];

  /** In the step in which the turn is ready. */
  function answer(session: Session, request: unknown, turn: LeaseTurn): MaybePromise<object> {
    const waiting = turn.ready();
    if (waiting !== undefined) return waiting.then(() => answer(session, request, turn));
    return execution.read((transaction) => {
      let reply: object;
      try {
        reply = run(makeContext(transaction, session.id), request);
      } catch (error) {
        turn.leave();
        throw error;
      }
      if (method === "readdir") offerEntries(turn, request as Listing, reply as ReplyOf<NameServerMethods, "readdir">);
      if (method === "readExtents") offerOthers(turn, reply as ReplyOf<NameServerMethods, "readExtents">);
      return withLeases(reply, turn.complete());
    });
  }

  const handler = (request: unknown, context: Context): MaybePromise<object> => {
    const session = sessions.of(context.peer);
    if (wantsOf === undefined) {
      return execution.read((transaction) => run(makeContext(transaction, session.id), request));
    }
    const turn = leases.turn({
      session,
      wants: () => wantsOf(store, request),
      signal: () => context.signal,
      outlivesConnection: false,
    });
    return answer(session, request, turn);
  };
  return handler as unknown as Handler<M>;
}

/** Changes the store exactly once, and asks the others about inodes that lost their last name. */
export function changingHandler<M extends NamespaceMethod & Changing>(
  parts: NamespaceHandlerParts,
  method: M,
): Handler<M> {
  const { store, sessions, replies, orphans, leases, makeContext } = parts;
  const run = namespaceMethods[method] as Run;
  const wantsOf = (requestWants as Partial<Record<string, WantsOf>>)[method];

  /** A flush takes nothing from anybody, and is waited for. */
  function wants(session: Session, request: unknown): readonly Want[] {
    if (wantsOf === undefined) return nothing;
    if (method === "writeExtents" && leases.isFlush(session, (request as { ino: Ino }).ino)) return nothing;
    return wantsOf(store, request);
  }

  const handler = (request: { op: { slot: number; sequence: number } }, context: Context): MaybePromise<object> => {
    const session = sessions.of(context.peer);
    const turn = leases.turn({
      session,
      wants: () => wants(session, request),
      signal: () => context.signal,
      outlivesConnection: true,
    });
    let orphaned: readonly Ino[] = [];
    let directories: Attributes[] | undefined;
    let granted: readonly LeaseGrant[] = [];
    return replies.once<object>({
      session,
      method,
      op: request.op,
      prepare: () => turn.ready(),
      run: (transaction) => {
        const operation = makeContext(transaction, session.id);
        try {
          const reply = run(operation, request);
          orphaned = operation.orphaned;
          directories = directoriesOf(transaction, method, request);
          granted = turn.complete(
            creations.has(method) ? madeBy(reply) : turn.wantsNothing ? toldBy(reply) : undefined,
          );
          return reply;
        } catch (error) {
          turn.leave();
          throw error;
        }
      },
      // The others may hear of it only when it is durable.
      durable: () => {
        if (orphaned.length > 0) orphans.removed(orphaned, session.id);
      },
      beside: () => besides(directories, granted),
    });
  };
  return handler as unknown as Handler<M>;
}

function madeBy(reply: object): { ino: Ino; level: "exclusive" } {
  return { ino: (reply as { attributes: Attributes }).attributes.ino, level: "exclusive" };
}

/** What ran out of turn tells of its inode too, and that may be kept like anything else, if nobody minds. */
function toldBy(reply: object): { ino: Ino; level: "shared" } | undefined {
  const { attributes } = reply as { attributes?: Attributes };
  return attributes === undefined ? undefined : { ino: attributes.ino, level: "shared" };
}

function besides(directories: Attributes[] | undefined, leases: readonly LeaseGrant[]): object | undefined {
  if (directories === undefined) return leases.length === 0 ? undefined : { leases };
  return leases.length === 0 ? { directories } : { directories, leases };
}

function withLeases(reply: object, leases: LeaseGrant[]): object {
  if (leases.length > 0) (reply as { leases?: LeaseGrant[] }).leases = leases;
  return reply;
}

/** Content beside what was asked for is for keeping, or not told. */
function offerOthers(turn: LeaseTurn, reply: ReplyOf<NameServerMethods, "readExtents">): void {
  if (reply.others === undefined) return;
  reply.others = reply.others.filter((other) => {
    const granted = turn.offer(other.attributes.ino, "shared");
    if (granted === undefined) return false;
    other.lease = granted.number;
    if (granted.level === "exclusive") other.exclusive = true;
    return true;
  });
}

/** What a listing tells of its entries may be kept too, unless somebody else holds them alone. */
function offerEntries(
  turn: LeaseTurn,
  { exclusive }: Listing,
  { entries }: ReplyOf<NameServerMethods, "readdir">,
): void {
  const wanted = exclusive === true ? "exclusive" : "shared";
  for (const entry of entries) {
    if (entry.attributes === undefined) continue;
    const granted = turn.offer(entry.ino, wanted);
    if (granted === undefined) continue;
    entry.lease = granted.number;
    if (granted.level === "exclusive") entry.exclusive = true;
  }
}
