/** What every call of the package needs. */
import type { Operations } from "../operations.ts";
import type { HeldInodes } from "./held-inodes.ts";
import type { Paths } from "./paths.ts";
import type { Replies } from "./replies.ts";

export interface CallParts {
  readonly operations: Operations;
  readonly paths: Paths;
  readonly held: HeldInodes;
  readonly replies: Replies;
}
