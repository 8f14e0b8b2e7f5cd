/** `dfs mount` as it was typed. */
import type { Address } from "../rpc/types.ts";
import type { MountOptions } from "./mount-options.ts";

export interface MountCommand {
  readonly addresses: readonly Address[];
  readonly mountPoint: string;
  readonly options: MountOptions;
  readonly foreground: boolean;
  /** A supervisor has started this. */
  readonly supervised: boolean;
  readonly debug: boolean;
  /** The command's own arguments, to start it again. */
  readonly args: readonly string[];
  readonly logFile: string | undefined;
}
