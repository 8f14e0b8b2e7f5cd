/**
 * The method table: who may call what, and which part answers. Clients need a session on their connection (ENOTCONN),
 * storage nodes a registration; `status` is for everybody who may connect.
 */
import type { Attributes } from "../base/attributes.ts";
import { FsError } from "../base/errno.ts";
import type { Ino } from "../base/ids.ts";
import type { NameServerMethods } from "../protocol/name-server.ts";
import type { HandlerContext, Handlers, Hello, ReplyOf, RequestOf } from "../rpc/types.ts";
import type { Execution, MaybePromise } from "./execution.ts";
import type { LockService } from "./lock-service.ts";
import { directoriesOf, namespaceMethods, type OperationContext } from "./namespace/index.ts";
import type { MakeContext } from "./operation-context.ts";
import type { OrphanQuestions } from "./orphan-questions.ts";
import type { Replies } from "./replies.ts";
import type { Sessions } from "./sessions.ts";
import type { PeerMethods } from "./types.ts";

type Method = keyof NameServerMethods;
type Changing = {
  [M in Method]: "op" extends keyof RequestOf<NameServerMethods, M> ? M : never;
}[Method];
type NamespaceMethod = keyof typeof namespaceMethods;
type Handler<M extends Method> = Handlers<NameServerMethods, PeerMethods>[M];
type Context = HandlerContext<PeerMethods>;

/** Handlers of methods that the namespace does not answer. */
export type ServiceHandlers = Omit<
  Handlers<NameServerMethods, PeerMethods>,
  NamespaceMethod | "getLock" | "setLock" | "releaseLocks"
>;

export function createHandlers(parts: {
  sessions: Sessions;
  execution: Execution;
  replies: Replies;
  orphans: OrphanQuestions;
  locks: LockService;
  makeContext: MakeContext;
  service: ServiceHandlers;
}): Handlers<NameServerMethods, PeerMethods> {
  const { sessions, execution, replies, orphans, locks, makeContext } = parts;

  /** Answers from one state of the store, at once if that is durable. */
  function reading<M extends NamespaceMethod>(method: M): Handler<M> {
    const run = namespaceMethods[method] as (
      context: OperationContext,
      request: unknown,
    ) => ReplyOf<NameServerMethods, M>;
    const handler = (request: unknown, { peer }: Context): MaybePromise<ReplyOf<NameServerMethods, M>> => {
      const session = sessions.of(peer);
      return execution.read((transaction) => run(makeContext(transaction, session.id), request));
    };
    return handler as Handler<M>;
  }

  /** Changes the store exactly once, and asks the others about inodes that lost their last name. */
  function changing<M extends NamespaceMethod & Changing>(method: M): Handler<M> {
    const run = namespaceMethods[method] as (
      context: OperationContext,
      request: unknown,
    ) => ReplyOf<NameServerMethods, M>;
    const handler = (
      request: { op: { slot: number; sequence: number } },
      { peer }: Context,
    ): MaybePromise<ReplyOf<NameServerMethods, M>> => {
      const session = sessions.changing(peer);
      let orphaned: readonly Ino[] = [];
      let directories: Attributes[] | undefined;
      return replies.once({
        session,
        method,
        op: request.op,
        run: (transaction) => {
          const context = makeContext(transaction, session.id);
          const reply = run(context, request);
          orphaned = context.orphaned;
          directories = directoriesOf(transaction, method, request);
          return reply;
        },
        // The others may hear of it only when it is durable.
        durable: () => {
          if (orphaned.length > 0) orphans.removed(orphaned, session.id);
        },
        beside: () => (directories === undefined ? undefined : { directories }),
      });
    };
    return handler as unknown as Handler<M>;
  }

  return {
    ...parts.service,

    lookup: reading("lookup"),
    getattr: reading("getattr"),
    readlink: reading("readlink"),
    readdir: reading("readdir"),
    statfs: reading("statfs"),
    getxattr: reading("getxattr"),
    listxattr: reading("listxattr"),
    readExtents: reading("readExtents"),
    open: reading("open"),

    setattr: changing("setattr"),
    symlink: changing("symlink"),
    mknod: changing("mknod"),
    mkdir: changing("mkdir"),
    create: changing("create"),
    tmpfile: changing("tmpfile"),
    unlink: changing("unlink"),
    rmdir: changing("rmdir"),
    rename: changing("rename"),
    link: changing("link"),
    releaseOrphans: changing("releaseOrphans"),
    setxattr: changing("setxattr"),
    removexattr: changing("removexattr"),
    writeExtents: changing("writeExtents"),
    compactExtents: changing("compactExtents"),
    fallocate: changing("fallocate"),
    copyFileRange: changing("copyFileRange"),

    getLock: ({ ino, lock }, { peer }) => ({ lock: locks.getLock(sessions.of(peer), ino, lock) }),
    setLock(request, context) {
      const session = request.reclaim === true ? sessions.reclaiming(context.peer) : sessions.of(context.peer);
      const waiting = locks.setLock(session, request, () => context.signal);
      return waiting === undefined ? {} : waiting.then(() => ({}));
    },
    releaseLocks(request, { peer }) {
      locks.releaseLocks(sessions.of(peer), request);
      return {};
    },
  };
}

/** EPERM unless the peer proved the role. */
export function requireRole({ peer }: Context, role: Hello["role"]): void {
  if (peer.remote.role === role) return;
  throw new FsError("EPERM", `only for the role ${role}, and ${peer.remote.id} is ${peer.remote.role}`);
}
