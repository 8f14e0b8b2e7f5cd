/** The name server's methods that are about how many copies the content of a file has. */
import { z } from "zod";
import { leased } from "./namespace-methods.ts";
import { caller, count, ino, operation, replicas } from "./types.ts";

export const replicaMethods = {
  /**
   * How many copies the blocks of a file have from now on, or those of what is made in a directory (at any depth). What is
   * there already, of a directory everything below it, is converted in the background. For its owner: EPERM. EINVAL:
   * neither file nor directory, or fewer storage nodes than copies. ENOSPC: the cluster can have no groups of that kind.
   */
  setReplicas: { request: z.object({ op: operation, caller, ino, replicas }), reply: leased },
  /**
   * What is wanted (`isOwn`: it was set; else it is the cluster's default), whether conversion still has to do with this
   * very inode, and for a file where its bytes are, from `offset` on: `parts` sums them up by the number of copies that
   * they were written with and of those that can be read now; `inlineBytes` are with the metadata. `next`: where to go on.
   */
  getReplicas: {
    request: z.object({ ino, offset: count }),
    reply: z.object({
      wanted: replicas,
      isOwn: z.boolean(),
      isConverting: z.boolean(),
      parts: z.array(z.object({ copies: replicas, present: count, bytes: count })),
      inlineBytes: count,
      next: count.nullable(),
    }),
  },
} as const;
