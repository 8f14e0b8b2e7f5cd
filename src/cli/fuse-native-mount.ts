/** `dfs mount --driver fuse-native`: the second driver, whose package and system library may be missing. */
import { systemClock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { FuseMount } from "../fuse/serve.ts";
import { mountFuseNative } from "../fuse/native/driver.ts";
import { loadFuseNative } from "../fuse/native/load-package.ts";
import type { Operations } from "../fuse/operations.ts";
import { CommandFailure } from "./failure.ts";

export type FuseNativeDriver = (parts: {
  mountPoint: string;
  source: string;
  operations: Operations;
  log: Log;
  /** Options of mount(8). */
  kernelOptions: readonly string[];
}) => Promise<FuseMount>;

/** Rejects with CommandFailure, which says what to install, when the driver cannot be used here. */
export async function loadFuseNativeDriver(): Promise<FuseNativeDriver> {
  const loaded = await loadFuseNative();
  if ("missing" in loaded) throw new CommandFailure(loaded.missing, { cause: loaded.cause });
  return ({ kernelOptions, ...parts }) =>
    mountFuseNative(loaded.Fuse, { ...parts, clock: systemClock, options: kernelOptions });
}
