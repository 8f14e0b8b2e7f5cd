/** The flags of open(2) that matter here (include/uapi/asm-generic/fcntl.h). */
export const openFlag = {
  accessMode: 0o3,
  writeOnly: 0o1,
  readWrite: 0o2,
  exclusive: 0o200,
  truncate: 0o1000,
  append: 0o2000,
  noAccessTime: 0o1000000,
} as const;

export function isWriting(flags: number): boolean {
  const access = flags & openFlag.accessMode;
  return access === openFlag.writeOnly || access === openFlag.readWrite;
}

export function isReading(flags: number): boolean {
  return (flags & openFlag.accessMode) !== openFlag.writeOnly;
}

export function isAppending(flags: number): boolean {
  return (flags & openFlag.append) !== 0 && isWriting(flags);
}

/** Also with O_RDONLY: that needs write permission, and cuts the file. */
export function isTruncating(flags: number): boolean {
  return (flags & openFlag.truncate) !== 0;
}
