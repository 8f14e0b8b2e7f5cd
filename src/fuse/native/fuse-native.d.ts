/** What is used of the package `fuse-native` 2.2.6 (it brings no types). Members with `_` are its internals: see path-connection.ts. */
declare module "fuse-native" {
  /** The first argument is 0, a count of bytes, or a negative errno. */
  export type Reply<T = undefined> = (result: number, value?: T) => void;
  /** As Reply, but of the internals, which hand native buffers back. */
  export type Signal = (result: number, ...values: unknown[]) => void;
  /** Called with the request's native state, the opcode and the arguments. */
  export type Handler = (locals: Buffer, opcode: number, ...args: unknown[]) => void;

  export interface Stat {
    mode: number;
    uid?: number;
    gid?: number;
    size?: number;
    nlink?: number;
    /** Only 32 bits of it arrive. */
    ino: number;
    rdev?: number;
    blksize?: number;
    blocks?: number;
    /** Milliseconds since 1970. */
    atime: number;
    mtime: number;
    ctime: number;
  }

  /** All of 32 bits. */
  export interface Statvfs {
    bsize: number;
    frsize: number;
    blocks: number;
    bfree: number;
    bavail: number;
    files: number;
    ffree: number;
    favail: number;
    namemax: number;
  }

  /** Paths are absolute in the mount and UTF-8; `fd` is the number that `open` replied with. */
  export interface PathOperations {
    init(reply: Reply): void;
    statfs(path: string, reply: Reply<Statvfs>): void;
    getattr(path: string, reply: Reply<Stat>): void;
    fgetattr(path: string, fd: number, reply: Reply<Stat>): void;
    readdir(path: string, reply: (result: number, names?: string[], stats?: Stat[]) => void): void;
    readlink(path: string, reply: Reply<string>): void;
    truncate(path: string, size: number, reply: Reply): void;
    ftruncate(path: string, fd: number, size: number, reply: Reply): void;
    /** Milliseconds. */
    utimens(path: string, atime: number, mtime: number, reply: Reply): void;
    chown(path: string, uid: number, gid: number, reply: Reply): void;
    chmod(path: string, mode: number, reply: Reply): void;
    mknod(path: string, mode: number, rdev: number, reply: Reply): void;
    mkdir(path: string, mode: number, reply: Reply): void;
    symlink(target: string, path: string, reply: Reply): void;
    link(path: string, newPath: string, reply: Reply): void;
    unlink(path: string, reply: Reply): void;
    rmdir(path: string, reply: Reply): void;
    rename(path: string, newPath: string, reply: Reply): void;
    open(path: string, flags: number, reply: Reply<number>): void;
    /** The buffer is gone when the reply was given. */
    read(path: string, fd: number, buffer: Buffer, length: number, offset: number, reply: Reply): void;
    write(path: string, fd: number, buffer: Buffer, length: number, offset: number, reply: Reply): void;
    flush(path: string, fd: number, reply: Reply): void;
    fsync(path: string, dataOnly: number, fd: number, reply: Reply): void;
    fsyncdir(path: string, dataOnly: number, fd: number, reply: Reply): void;
    release(path: string, fd: number, reply: Reply): void;
    setxattr(path: string, name: string, value: Buffer, position: number, flags: number, reply: Reply): void;
    getxattr(path: string, name: string, position: number, reply: Reply<Buffer>): void;
    listxattr(path: string, reply: Reply<Buffer>): void;
    removexattr(path: string, name: string, reply: Reply): void;
  }

  export default class Fuse {
    constructor(mountPoint: string, operations: PathOperations, options: { timeout: false });
    /** Runs `fusermount -uz` in a shell. */
    static unmount(mountPoint: string, done: (error: Error | null) => void): void;
    readonly ops: PathOperations;
    mount(done: (error: Error | null) => void): void;
    unmount(done: (error: Error | null) => void): void;
    _fuseOptions(): string;
    _makeHandlerArray(): Handler[];
    _op_getattr(this: { ops: Pick<PathOperations, "getattr"> }, signal: Signal, path: string): void;
    _op_fgetattr(signal: Signal, path: string, fd: number): void;
    _op_utimens(signal: Signal, path: string, ...times: readonly [number, number, number, number]): void;
    _op_getxattr(signal: Signal, path: string, name: string, value: Buffer, position: number): void;
    _op_listxattr(signal: Signal, path: string, list: Buffer): void;
  }
}
