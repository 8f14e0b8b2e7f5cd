/** The kernel's list of mounts (proc(5), mountinfo). Pure, so that nobody has to touch a mount to know about it. */

export interface MountedAt {
  /** Major and minor of the filesystem's anonymous device, as "0:52": names it in /sys. */
  readonly device: string;
  readonly mountPoint: string;
  readonly type: string;
  readonly source: string;
}

/** The topmost mount at `mountPoint` (absolute, without symbolic links), if any. */
export function findMount(mountinfo: string, mountPoint: string): MountedAt | undefined {
  return parseMounts(mountinfo).findLast((mount) => mount.mountPoint === mountPoint);
}

/** `36 35 0:52 / /mnt/dfs rw,relatime shared:1 - fuse.dfs source rw,...`: optional fields end with a lone dash. */
export function parseMounts(mountinfo: string): MountedAt[] {
  const mounts: MountedAt[] = [];
  for (const line of mountinfo.split("\n")) {
    const fields = line.split(" ");
    const dash = fields.indexOf("-", 6);
    const [, , device, , mountPoint] = fields;
    const [type, source] = fields.slice(dash + 1);
    if (dash === -1 || device === undefined || mountPoint === undefined) continue;
    if (type === undefined || source === undefined) continue;
    mounts.push({ device, mountPoint: unescapeField(mountPoint), type, source: unescapeField(source) });
  }
  return mounts;
}

/** Space, tab, newline and backslash are written as octal: `\040`. Bytes, read as UTF-8. */
function unescapeField(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
}
