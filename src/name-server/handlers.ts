/**
 * The method table: who may call what, and which part answers. Clients need a session on their connection (ENOTCONN),
 * storage nodes a registration; `status` is for everybody who may connect.
 */
import { FsError } from "../base/errno.ts";
import type { NameServerMethods } from "../protocol/name-server.ts";
import type { scrubServerMethods } from "../protocol/scrub-methods.ts";
import type { HandlerContext, Handlers, Hello } from "../rpc/types.ts";
import { createLeaseHandlers, type LeaseHandlers } from "./lease-handlers.ts";
import { createAheadHandlers, type AheadHandlers, type AheadHandlerParts } from "./ahead/ahead-handlers.ts";
import type { LockHandlers } from "./lock-handlers.ts";
import { changingHandler, readingHandler, type Changing, type Handler } from "./namespace-handlers.ts";
import type { NamespaceMethod } from "./namespace/index.ts";
import { createReplicaHandlers, type ReplicaHandlerParts, type ReplicaHandlers } from "./replicas/handlers.ts";
import type { PeerMethods } from "./types.ts";

type Context = HandlerContext<PeerMethods>;

export type ScrubHandlers = Pick<Handlers<NameServerMethods, PeerMethods>, keyof typeof scrubServerMethods>;

/** Handlers of methods that the namespace does not answer. */
export type ServiceHandlers = Omit<
  Handlers<NameServerMethods, PeerMethods>,
  | NamespaceMethod
  | keyof typeof scrubServerMethods
  | keyof ReplicaHandlers
  | keyof LockHandlers
  | keyof LeaseHandlers
  | keyof AheadHandlers
>;

export function createHandlers(
  parts: ReplicaHandlerParts &
    AheadHandlerParts & { locks: LockHandlers; scrub: ScrubHandlers; service: ServiceHandlers },
): Handlers<NameServerMethods, PeerMethods> {
  const reading = <M extends NamespaceMethod>(method: M): Handler<M> => readingHandler(parts, method);
  const changing = <M extends NamespaceMethod & Changing>(method: M): Handler<M> => changingHandler(parts, method);

  return {
    ...parts.service,
    ...parts.locks,
    ...parts.scrub,
    ...createLeaseHandlers(parts),
    ...createAheadHandlers(parts),
    ...createReplicaHandlers(parts),

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
    discardBlocks: changing("discardBlocks"),
  };
}

/** EPERM unless the peer proved the role. */
export function requireRole({ peer }: Context, role: Hello["role"]): void {
  if (peer.remote.role === role) return;
  throw new FsError("EPERM", `only for the role ${role}, and ${peer.remote.id} is ${peer.remote.role}`);
}
