/** What one seed's world is like, and what may go wrong in it: spread over the seeds, so that each takes little time. */
import { seededRandom } from "../../src/base/random.ts";

/**
 * Beside what goes wrong in all of them (processes, power, links, clocks, full and failing disks): `rot`: bits flip on one
 * storage node's disk; `rotten-copy`: those of its copy of the journal, too, and then the name server's disk is lost;
 * `members`: storage nodes come, leave and lose their disks; `failover`: a name server with an empty disk takes over, while the one before may still run.
 */
export type Kind = "plain" | "rot" | "rotten-copy" | "members" | "failover";

export interface Shape {
  readonly kind: Kind;
  readonly nodes: number;
  readonly clients: number;
  readonly replicas: number;
  /** A storage node that is silent for so long is out. */
  readonly nodeOutMillis: number;
  /** How long comparing everything that the nodes hold takes at least. */
  readonly compareRoundMillis: number;
}

const kinds: readonly Kind[] = ["plain", "rot", "failover", "members", "plain", "failover", "members"];
const hourMillis = 3_600_000;

export function shapeOf(seed: number): Shape {
  const turn = kinds[seed % kinds.length] ?? "plain";
  const kind = turn === "rot" && Math.floor(seed / kinds.length) % 2 === 1 ? "rotten-copy" : turn;
  const random = seededRandom(seed);
  const isShort = kind === "members";
  return {
    kind,
    // Where one copy rots and the name server's disk is lost there has to be another copy.
    nodes: (kind === "rotten-copy" ? 3 : 2) + (seed % 3),
    clients: 1 + (seed % 4 === 0 ? 0 : 1 + (seed % 2)),
    replicas: kind === "rotten-copy" ? 3 : 2,
    nodeOutMillis: isShort ? 12_000 + random.below(40_000) : hourMillis,
    compareRoundMillis: random.below(2) === 0 ? 20_000 : hourMillis,
  };
}
