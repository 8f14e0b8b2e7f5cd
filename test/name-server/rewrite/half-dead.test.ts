/** Which blocks cleaning is given, and when. */
import test from "ava";
import { toGroupId, type BlockId, type Ino } from "../../../src/base/ids.ts";
import { HalfDeadBlocks } from "../../../src/name-server/rewrite/half-dead.ts";

const block: BlockId = { group: toGroupId(1), number: 7 };
const owner = 5 as Ino;

test("what was tried in vain waits, also when space is short: else trying it would never end", (t) => {
  let now = 0;
  const blocks = new HalfDeadBlocks({ now: () => now, delayMillis: 100 });
  blocks.note(block, owner);
  t.is(blocks.take(10, false).length, 0);
  t.is(blocks.take(10, true).length, 1);
  blocks.putBack(block, owner, 5_000);
  t.is(blocks.take(10, true).length, 0);
  now = 5_000;
  t.is(blocks.take(10, true).length, 1);
});
