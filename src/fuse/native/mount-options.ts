/** The options for libfuse 2, as one would give them to mount(8). Pure. */

/** Those of mount(8) that libfuse 2 hands to the kernel; it refuses others. */
const known = new Set(["ro", "rw", "nosuid", "suid", "nodev", "dev", "noexec", "exec", "sync", "dirsync"]);

/** @param options of mount(8); what only concerns access times is left out: the kernel keeps none for FUSE */
export function mountOptions(source: string, options: readonly string[]): string[] {
  return [
    `fsname=${escaped(source)}`,
    // the kernel shows the type as fuse.dfs
    "subtype=dfs",
    "default_permissions",
    "direct_io",
    "use_ino",
    "entry_timeout=0",
    "negative_timeout=0",
    "attr_timeout=0",
    ...options.filter((option) => known.has(option)),
  ];
}

/** A comma would begin the next option. */
function escaped(value: string): string {
  return value.replaceAll(/[\\,]/g, "\\$&");
}
