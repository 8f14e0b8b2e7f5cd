/** Loads `fuse-native`, an optional dependency that needs libfuse 2 of the system. */
import type Fuse from "fuse-native";

export type FuseClass = typeof Fuse;

/** `missing`: a sentence that says what to install. */
export type LoadedPackage = { readonly Fuse: FuseClass } | { readonly missing: string; readonly cause: unknown };

export async function loadFuseNative(): Promise<LoadedPackage> {
  try {
    return { Fuse: (await import("fuse-native")).default };
  } catch (cause) {
    return { missing: `the driver fuse-native ${explain(cause)}`, cause };
  }
}

/** @param cause what `import("fuse-native")` was rejected with */
function explain(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : String(cause);
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  if (message.includes("libfuse.so")) {
    return "needs libfuse 2 (libfuse.so.2): install it with apt-get install libfuse2 (libfuse2t64 on newer systems)";
  }
  if (message.startsWith("No native build")) {
    const system = `${process.platform} ${process.arch}`;
    return `has no binary for ${system}: build it with npm rebuild fuse-native (needs make, g++ and python3)`;
  }
  if (code === "ERR_MODULE_NOT_FOUND" || code === "MODULE_NOT_FOUND") {
    // npm leaves it out when it can neither be loaded (no libfuse 2) nor compiled
    return "needs the package fuse-native, which is not installed: apt-get install libfuse2, then npm ci";
  }
  return `cannot be loaded: ${message.split("\n")[0] ?? ""}`;
}
