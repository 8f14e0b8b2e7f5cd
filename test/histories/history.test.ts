/** Recorded lines. */
import test from "ava";
import { during, write } from "./by-hand.ts";
import { failuresIn, parseHistory } from "./history.ts";

test("lines are merged, and what was begun by a killed process stays without result", (t) => {
  const [a, b] = [during(1, 0, 5, write("a")), during(2, 1, 6, write("b"))].map(
    ({ process, operation, invoked, returned, action, result }) => [
      JSON.stringify({ process, operation, invoked, action }),
      JSON.stringify({ process, operation, returned, result }),
    ],
  ) as [string[], string[]];
  const merged = parseHistory([`${a.join("\n")}\n`, `${b[0] ?? ""}\n${(b[1] ?? "").slice(0, 20)}`]);
  t.deepEqual(
    merged.map(({ process, returned, result }) => ({ process, returned, result })),
    [
      { process: 1, returned: 5, result: { type: "done" } },
      { process: 2, returned: Infinity, result: undefined },
    ],
  );
  const failed = `${a[0] ?? ""}\n${(a[1] ?? "").replace('{"type":"done"}', '{"type":"failed","errno":"EIO"}')}\n`;
  t.is(parseHistory([failed])[0]?.returned, Infinity);
  t.deepEqual(failuresIn(failed), ["EIO"]);
  t.deepEqual(failuresIn(a.join("\n")), []);
});
