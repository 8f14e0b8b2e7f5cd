/** What storage nodes and operators say about scrub. */
import { requireRole, type ScrubHandlers } from "../handlers.ts";
import type { Damage } from "./damage.ts";

export function createScrubHandlers(damage: Damage): ScrubHandlers {
  return {
    reportDamage({ blocks }, { peer }) {
      damage.reported(peer, blocks);
      return {};
    },
    scrubAll(_request, context) {
      requireRole(context, "admin");
      return damage.scrubAll();
    },
  };
}
