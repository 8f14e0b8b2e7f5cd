/**
 * What a driver that took a mount over lets through: the kernel still uses what the one before it had handed out.
 *
 * - Handles of the driver before (they are below `firstHandle`) answer EIO until they are closed: what they had not
 *   flushed and their locks are gone with it. Closing them is granted, and so are attributes, which need no handle.
 * - A request that is sent again may have been carried out already. Those that change something answer EIO: here nobody
 *   knows. Those that only look are answered.
 * - Inodes that this driver has not handed out are adopted before their first use.
 * - Before the filesystem is there (`attach`) everything waits, except what is answered by the first two rules: the
 *   kernel's pages are locked by such requests, and have to be dropped whether a server answers or not.
 */
import type { Clock } from "../base/clock.ts";
import { FsError } from "../base/errno.ts";
import type { Handle, Ino } from "../base/ids.ts";
import { type OpcodeName, opcodes } from "./abi-opcodes.ts";
import type { KernelRequest } from "./kernel-request.ts";
import type { Operations, RequestContext } from "./operations.ts";

/** "done": the answer is that there is nothing to say. A promise: it may run when that has resolved. */
export type Admission = "run" | "done" | Promise<void>;

const openTruncate = 0o1000;

const closing = opcodesOf("release", "releasedir");
const withoutHandle = opcodesOf("getattr", "statx");
/** They ask the filesystem for an inode by its number anyway, or for none. */
const adoptingNothing = opcodesOf("getattr", "statx", "statfs", "syncfs", "release", "releasedir");
const changing = opcodesOf(
  ...(["setattr", "symlink", "mknod", "mkdir", "unlink", "rmdir", "rename", "rename2", "link", "create"] as const),
  ...(["tmpfile", "write", "setxattr", "removexattr", "fallocate", "copyFileRange", "copyFileRange64"] as const),
  // What it would make durable is lost.
  "syncfs",
);

/** Fields of decoded requests that name handles and inodes, whichever request it is. */
interface AnyBody {
  readonly handle?: Handle | undefined;
  readonly flags?: unknown;
  readonly ino?: Ino;
  readonly newParent?: Ino;
  readonly to?: { readonly ino: Ino; readonly handle: Handle };
}

export interface InheritedParts {
  readonly firstHandle: number;
  /** Rejects when there will be no filesystem: then everything that waits answers that. */
  readonly attached: Promise<Operations>;
  readonly clock: Clock;
  /** So long a request waits for the filesystem at most; absent: for ever. */
  readonly waitMillis?: number | undefined;
}

export class Inherited {
  private readonly parts: InheritedParts;
  private operations: Operations | undefined;

  constructor(parts: InheritedParts) {
    this.parts = parts;
    parts.attached.then(
      (operations) => {
        this.operations = operations;
      },
      () => undefined,
    );
  }

  /** Throws FsError for what cannot go on. */
  admit(request: KernelRequest, decoded: unknown): Admission {
    const body = (decoded ?? {}) as AnyBody;
    const { opcode } = request;
    if (this.isOld(body.handle) || this.isOld(body.to?.handle)) {
      if (closing.has(opcode)) return "done";
      if (!withoutHandle.has(opcode)) throw ended(request, "its driver died after it was opened; close the file");
    }
    if (request.isResent && (changing.has(opcode) || truncates(opcode, body))) {
      throw ended(request, "the driver died while this changed something");
    }
    const inos = adoptingNothing.has(opcode) ? [] : inodesOf(request, body);
    if (this.operations !== undefined) return adoptAll(this.operations, request, inos);
    return this.filesystem(request).then(async (operations) => {
      const adopted = adoptAll(operations, request, inos);
      if (adopted !== "run") await adopted;
    });
  }

  private isOld(handle: Handle | undefined): boolean {
    return handle !== undefined && handle < this.parts.firstHandle;
  }

  /** Rejects earlier when the request is given up, or has waited for too long. */
  private filesystem({ signal }: KernelRequest): Promise<Operations> {
    const { attached, clock, waitMillis } = this.parts;
    return new Promise((resolve, reject) => {
      const late = (): void => {
        settled();
        reject(new FsError("ETIMEDOUT", `no session with a name server within ${String(waitMillis)} ms`));
      };
      const timer = waitMillis === undefined ? undefined : clock.after(waitMillis, late, { unref: true });
      const onAbort = (): void => {
        settled();
        reject(signal.reason as Error);
      };
      const settled = (): void => {
        timer?.cancel();
        signal.removeEventListener("abort", onAbort);
      };
      signal.addEventListener("abort", onAbort, { once: true });
      attached.finally(settled).then(resolve, reject);
    });
  }
}

function ended(request: KernelRequest, why: string): FsError {
  return new FsError("EIO", `inode ${String(request.ino)}: ${why}`);
}

function adoptAll(operations: Operations, request: RequestContext, inos: readonly Ino[]): "run" | Promise<void> {
  let waiting: Promise<void>[] | undefined;
  for (const ino of inos) {
    const adopted = operations.adopt?.(request, ino);
    if (adopted !== undefined) (waiting ??= []).push(adopted);
  }
  return waiting === undefined ? "run" : Promise.all(waiting).then(() => undefined);
}

function inodesOf(request: KernelRequest, body: AnyBody): Ino[] {
  const inos = [request.ino];
  for (const ino of [body.ino, body.newParent, body.to?.ino]) if (ino !== undefined) inos.push(ino);
  return inos.filter((ino) => Number(ino) !== 0);
}

function truncates(opcode: number, body: AnyBody): boolean {
  return opcode === opcodes.open && typeof body.flags === "number" && (body.flags & openTruncate) !== 0;
}

function opcodesOf(...names: readonly OpcodeName[]): ReadonlySet<number> {
  return new Set(names.map((name) => opcodes[name]));
}
