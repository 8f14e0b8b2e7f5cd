import { CommandFailure } from "./failure.ts";
import type { FuseMount } from "../fuse/driver.ts";

export function mountFuseNative(_parts: unknown): Promise<FuseMount> {
  return Promise.reject(new CommandFailure("not built yet"));
}
