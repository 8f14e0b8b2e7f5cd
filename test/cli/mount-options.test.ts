import test from "ava";
import { parseMountOptions } from "../../src/cli/mount-options.ts";

test("locks hold in the cluster and operations wait, unless told otherwise", (t) => {
  t.like(parseMountOptions([], "kernel"), { locks: "cluster", timeoutMillis: undefined, accessTimes: true });
  t.like(parseMountOptions(["hard,locks=cluster"], "kernel"), { locks: "cluster", timeoutMillis: undefined });
  t.like(parseMountOptions(["ro,locks=local", "timeout=2.5"], "kernel"), {
    locks: "local",
    timeoutMillis: 2_500,
    kernelOptions: ["ro"],
  });
});

test("an option or a value that nobody knows is a mistake", (t) => {
  for (const option of ["locks=none", "locks", "timeout=soon", "memory=1M", "nonsense"]) {
    t.throws(() => parseMountOptions([option], "kernel"), undefined, option);
  }
});
