/** What operators decide about storage nodes. For the role admin. */
import { z } from "zod";
import { limits } from "../base/limits.ts";
import { nothing } from "./method-table.ts";

/** A node's id, or HOST:PORT of the one that is or was last there. */
const which = z
  .string()
  .min(1)
  .max(limits.nameBytesMax + 10);

export const nodeMethods = {
  /**
   * drain: other nodes take its place in every group, and copy what it holds; it serves until then. undrain: it stays
   * after all. remove: it belongs to the cluster no more, for ever; EBUSY while it is up and not draining, while a
   * group needs it, or (after seconds) the copies of the journal. ENOENT: there is no such node. Committed when it is answered.
   */
  decideNode: {
    request: z.object({ node: which, decision: z.enum(["drain", "undrain", "remove"]) }),
    reply: nothing,
  },
} as const;
