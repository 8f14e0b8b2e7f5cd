/** The kernel driver: mounts a filesystem (`Operations`) at a directory and serves it until it is unmounted by anybody. */
import type { Clock } from "../base/clock.ts";
import { FsError } from "../base/errno.ts";
import type { Log } from "../base/log.ts";
import { inHeader, outHeader } from "./abi-layouts.ts";
import { opcodes } from "./abi-opcodes.ts";
import { protocol } from "./abi-flags.ts";
import { callsFor } from "./calls-local-locks.ts";
import { bodyEnd, decoders } from "./decode.ts";
import { Device } from "./device.ts";
import { encodeHeader, encodeInit } from "./encode.ts";
import { KernelPages, type NoteFiles } from "./kernel-pages.ts";
import { KernelRequest } from "./kernel-request.ts";
import { checkMountPoint } from "./mount-point.ts";
import { mount, mountedAt, raiseReadAhead, unmount } from "./mount.ts";
import { type Negotiated, negotiate, type NegotiationOptions } from "./negotiate.ts";
import { KernelNotifier } from "./notify.ts";
import type { Operations } from "./operations.ts";
import { serve, type FuseMount } from "./serve.ts";
import { frameOf } from "./wire.ts";

export interface FuseMountOptions extends Partial<NegotiationOptions> {
  /** Reads requests in the thread pool, as where the event loop cannot. */
  readonly readsInPool?: boolean;
  /** Further options of mount(8). */
  readonly mountOptions?: readonly string[];
}

/** Of a driver that another process can replace: that one has opened the device, and keeps it open. */
export interface Replaceable {
  readonly fd: number;
  readonly notes: NoteFiles;
  /** What was agreed with the kernel, and the mount's own name for it (`MountedAt.device`). */
  readonly onConnected: (negotiated: Negotiated, device: string | undefined) => void;
  /** The connection has ended: there is nothing left to take over. */
  readonly onDisconnected: () => void;
}

export async function mountFuse(parts: {
  mountPoint: string;
  source: string;
  operations: Operations;
  log: Log;
  clock: Clock;
  options?: FuseMountOptions;
  replaceable?: Replaceable | undefined;
}): Promise<FuseMount> {
  const { source, operations, clock, options = {}, replaceable } = parts;
  const log = parts.log.child({ component: "fuse" });
  const mountPoint = await checkMountPoint(parts.mountPoint, clock);
  const inPool = options.readsInPool ?? false;
  const device = new Device(log, replaceable === undefined ? { inPool } : { inPool, fd: replaceable.fd });
  try {
    await mount({ mountPoint, source, fd: device.fd, options: options.mountOptions ?? [] });
  } catch (error) {
    device.close();
    throw error;
  }
  try {
    const locks = options.locks ?? "cluster";
    const negotiated = await handshake(device, { locks });
    log.info({ mountPoint, minor: negotiated.reply.minor, missing: negotiated.missing }, "connected to the kernel");
    device.beginServing();
    await raiseReadAhead(mountPoint, log);
    replaceable?.onConnected(negotiated, (await mountedAt(mountPoint))?.device);
    const notifier = new KernelNotifier(device.fd, negotiated);
    try {
      await operations.start(notifier);
    } catch (error) {
      await notifier.close();
      throw error;
    }
    return serve({
      mountPoint,
      device,
      negotiated,
      notifier,
      log,
      clock,
      calls: callsFor(locks),
      operations: () => operations,
      stop: () => operations.stop(),
      kernelPages: replaceable && new KernelPages(replaceable.notes, (ino) => operations.mayBeKnown?.(ino) ?? true),
      onDisconnected: replaceable?.onDisconnected,
    });
  } catch (error) {
    await unmount(mountPoint, log);
    device.close();
    throw error;
  }
}

/** INIT, until both speak the same major version. */
async function handshake(device: Device, options: NegotiationOptions): Promise<Negotiated> {
  const reply = frameOf(Buffer.alloc(256));
  for (;;) {
    const { frame, length } = await device.readOne();
    const end = bodyEnd(frame, length);
    const request = new KernelRequest(frame.view);
    if (request.opcode !== opcodes.init) {
      throw new FsError("EPROTO", `the kernel began with request ${String(request.opcode)}`);
    }
    const kernel = decoders.init(frame, inHeader.bytes, end);
    const newer = kernel.major > protocol.major;
    const negotiated = negotiate(
      newer ? { ...kernel, major: protocol.major, minor: protocol.minorMax } : kernel,
      options,
    );
    const payload = encodeInit(reply, outHeader.bytes, negotiated.reply, protocol.major);
    encodeHeader(reply.view, outHeader.bytes + payload, 0, request);
    device.write(reply.bytes, outHeader.bytes + payload);
    device.giveFrame(frame);
    // a newer kernel asks again, in the version that it was answered
    if (!newer) return negotiated;
  }
}
