/**
 * The package's class with what is wrong in it put right (fuse-native 2.2.6, index.js and fuse-native.c):
 * - it knows only some of libfuse's mount options;
 * - utimens is given the access time twice: the modification time is read from the request's native state;
 * - fgetattr loses the open file's number;
 * - a getxattr or listxattr answer longer than the caller's buffer makes libfuse send what lies behind it: ERANGE here;
 * - unmounting runs a program found through PATH in a shell: unmounting is not its business here.
 */
import type { Handler, PathOperations, Reply, Signal, Stat } from "fuse-native";
import { errnoNumber, FsError } from "../../base/errno.ts";
import type { FuseClass } from "./load-package.ts";

export interface PathConnection {
  /** Mounts; resolves when the kernel has been answered and `init` called. */
  mount(): Promise<void>;
  /** After the connection has ended: the event loop is not held any more. */
  letGo(): Promise<void>;
}

/** Number of an operation in fuse-native.c. */
const utimensOpcode = 12;
/** Where fuse_thread_locals_t (fuse-native.c) has the two times, each 64 bits of milliseconds, where pointers have 64 bits. */
const accessTimeAt = 104;
const modificationTimeAt = 112;

export function createPathConnection(
  Fuse: FuseClass,
  parts: { mountPoint: string; operations: PathOperations; mountOptions: readonly string[] },
): PathConnection {
  class Connection extends Fuse {
    override _fuseOptions(): string {
      return `-o${parts.mountOptions.join(",")}`;
    }

    override _makeHandlerArray(): Handler[] {
      const handlers = super._makeHandlerArray();
      const utimens = handlers[utimensOpcode];
      if (utimens === undefined) throw new FsError("ENODEV", "this version of fuse-native is not known");
      handlers[utimensOpcode] = (locals, opcode, path, low, high) => {
        utimens(locals, opcode, path, low, high, ...modificationTime(locals, low as number, high as number));
      };
      return handlers;
    }

    override _op_utimens(signal: Signal, path: string, ...times: readonly [number, number, number, number]): void {
      const [atimeLow, atimeHigh, mtimeLow, mtimeHigh] = times;
      this.ops.utimens(path, signed(atimeLow, atimeHigh), signed(mtimeLow, mtimeHigh), signal);
    }

    override _op_fgetattr(signal: Signal, path: string, fd: number): void {
      // As the answer of getattr, which alone the package can put in the native form.
      const { ops } = this;
      const open = {
        ops: {
          getattr: (_: string, reply: Reply<Stat>): void => {
            ops.fgetattr(path, fd, reply);
          },
        },
      };
      super._op_getattr.call(open, signal, path);
    }

    override _op_getxattr(signal: Signal, path: string, name: string, buffer: Buffer, position: number): void {
      this.ops.getxattr(path, name, position, (result, value) => {
        signal(value === undefined ? result : fill(buffer, value), buffer.buffer);
      });
    }

    override _op_listxattr(signal: Signal, path: string, buffer: Buffer): void {
      this.ops.listxattr(path, (result, list) => {
        signal(list === undefined ? result : fill(buffer, list), buffer.buffer);
      });
    }
  }

  const connection = new Connection(parts.mountPoint, parts.operations, { timeout: false });
  return {
    mount: () =>
      settled((done) => {
        connection.mount(done);
      }),
    letGo() {
      Fuse.unmount = (_, done) => {
        done(null);
      };
      return settled((done) => {
        connection.unmount(done);
      });
    },
  };
}

/** The result of getxattr(2) and listxattr(2): an empty buffer asks for the length. */
function fill(buffer: Buffer, value: Buffer): number {
  if (buffer.length === 0) return value.length;
  if (value.length > buffer.length) return -errnoNumber("ERANGE");
  value.copy(buffer);
  return value.length;
}

/** Low and high half; NaN, upon which the request fails, where the native state is not laid out as expected. */
function modificationTime(locals: Buffer, accessLow: number, accessHigh: number): [number, number] {
  const isKnown =
    locals.length >= modificationTimeAt + 8 &&
    locals.readUInt32LE(accessTimeAt) === accessLow &&
    locals.readUInt32LE(accessTimeAt + 4) === accessHigh;
  if (!isKnown) return [NaN, NaN];
  return [locals.readUInt32LE(modificationTimeAt), locals.readUInt32LE(modificationTimeAt + 4)];
}

function signed(low: number, high: number): number {
  return (high | 0) * 2 ** 32 + low;
}

function settled(start: (done: (error?: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((error) => {
      if (error instanceof Error) reject(error);
      else resolve();
    });
  });
}
