/**
 * The kernel's request numbers (include/uapi/linux/fuse.h, protocol 7.45), by the names that the operations have here.
 * Numbers never change meaning between protocol versions; a kernel sends only those that its version knows.
 */
export const opcodes = {
  lookup: 1,
  forget: 2, // no reply
  getattr: 3,
  setattr: 4,
  readlink: 5,
  symlink: 6,
  mknod: 8,
  mkdir: 9,
  unlink: 10,
  rmdir: 11,
  rename: 12,
  link: 13,
  open: 14,
  read: 15,
  write: 16,
  statfs: 17,
  release: 18,
  fsync: 20,
  setxattr: 21,
  getxattr: 22,
  listxattr: 23,
  removexattr: 24,
  flush: 25,
  init: 26,
  opendir: 27,
  readdir: 28,
  releasedir: 29,
  fsyncdir: 30,
  getlk: 31,
  setlk: 32,
  setlkw: 33,
  access: 34,
  create: 35,
  interrupt: 36, // no reply
  bmap: 37,
  destroy: 38,
  ioctl: 39,
  poll: 40,
  notifyReply: 41, // no reply
  batchForget: 42, // no reply
  fallocate: 43,
  readdirplus: 44,
  rename2: 45,
  lseek: 46,
  copyFileRange: 47,
  setupMapping: 48,
  removeMapping: 49,
  syncfs: 50,
  tmpfile: 51,
  statx: 52,
  copyFileRange64: 53,
} as const;

export type OpcodeName = keyof typeof opcodes;

const names: string[] = [];
for (const [name, opcode] of Object.entries(opcodes)) names[opcode] = name;

/** For logs and statistics. */
export function opcodeName(opcode: number): string {
  return names[opcode] ?? `opcode ${String(opcode)}`;
}

/** Exclusive upper bound of the numbers above. */
export const opcodeCount = names.length;
