/** What follows `-o`: options of this filesystem and of the mount, as mount(8) hands them on from /etc/fstab. */
import { CommandFailure } from "./failure.ts";
import { parseBytes } from "./usage.ts";

export interface MountOptions {
  readonly driver: "kernel" | "fuse-native";
  /** `memory=`: bytes of buffers and caches; absent: the default. */
  readonly memoryBytes: number | undefined;
  /** `timeout=`: seconds after which operations without a server fail; absent: they wait (`hard`). */
  readonly timeoutMillis: number | undefined;
  readonly accessTimes: boolean;
  /** `locks=`: whether flock and fcntl locks hold between machines, or on this one only. */
  readonly locks: "cluster" | "local";
  readonly secretFile: string | undefined;
  /** For mount(8): ro, nosuid, nodev, noexec... */
  readonly kernelOptions: readonly string[];
}

const forKernel = new Set([
  "ro",
  "rw",
  "nosuid",
  "suid",
  "nodev",
  "dev",
  "noexec",
  "exec",
  "sync",
  "dirsync",
  "nodiratime",
]);
/** Those of fstab(5) that mean nothing to a mounted filesystem. */
const forOthers = /^(defaults|auto|noauto|_netdev|nofail|user|users|nouser|owner|group|hard|relatime|x-.*|comment=.*)$/;

/** Throws CommandFailure with status 2 for an option that nobody knows. */
export function parseMountOptions(texts: readonly string[], driver: MountOptions["driver"]): MountOptions {
  const kernelOptions: string[] = [];
  let memoryBytes: number | undefined;
  let timeoutMillis: number | undefined;
  let secretFile: string | undefined;
  let accessTimes = true;
  let locks: MountOptions["locks"] = "cluster";
  for (const option of texts.flatMap((text) => text.split(",")).filter((text) => text !== "")) {
    const [key, value] = [
      option.split("=", 1)[0] ?? "",
      option.includes("=") ? option.slice(option.indexOf("=") + 1) : "",
    ];
    if (forKernel.has(option)) kernelOptions.push(option);
    else if (option === "noatime") accessTimes = false;
    else if (key === "memory") memoryBytes = leastMemory(parseBytes(value));
    else if (key === "timeout" && /^\d+(\.\d+)?$/.test(value)) timeoutMillis = Number(value) * 1000;
    else if (key === "locks" && (value === "cluster" || value === "local")) locks = value;
    else if (key === "secret-file" && value !== "") secretFile = value;
    else if (!forOthers.test(option))
      throw new CommandFailure(`unknown mount option ${JSON.stringify(option)}`, { status: 2 });
  }
  return { driver, memoryBytes, timeoutMillis, accessTimes, locks, secretFile, kernelOptions };
}

const memoryBytesMin = 64 * 2 ** 20;

function leastMemory(bytes: number): number {
  if (bytes >= memoryBytesMin) return bytes;
  throw new CommandFailure("memory= has to be at least 64M", { status: 2 });
}
