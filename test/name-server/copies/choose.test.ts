import test from "ava";
import type { NodeId } from "../../../src/base/ids.ts";
import { chooseMembers } from "../../../src/name-server/copies/choose.ts";
import { areEnough, newestRegister, recoveryQuorum, storeQuorum } from "../../../src/name-server/copies/register.ts";
import type { JournalRegister } from "../../../src/protocol/journal-methods.ts";

const id = (name: string): NodeId => name as NodeId;
const node = (name: string, label = name): { node: NodeId; address: never; label: string; isUp: boolean } => ({
  node: id(name),
  address: undefined as never,
  label,
  isUp: true,
});

test("members that answer stay, silent ones are replaced, on another host where there is one, full ones last", (t) => {
  const nodes = [node("a", "x"), node("b", "x"), node("c", "x"), node("d", "y")];
  const choose = (present: string[], silent: string[] = [], wanted = 2, full: string[] = []) =>
    chooseMembers({
      ...{ nodes, present: present.map(id), wanted, following: full.map(id) },
      isConnected: () => true,
      isSilent: (which) => silent.includes(which),
      isFull: (which) => full.includes(which),
    });
  t.deepEqual(choose([]).candidates, [id("a"), id("d")]);
  t.deepEqual(choose(["b"]), { kept: [id("b")], candidates: [id("d")] });
  t.deepEqual(choose(["b", "d"], ["d"]), { kept: [id("b")], candidates: [id("a")] });
  t.deepEqual(choose(["b", "gone"]), { kept: [id("b")], candidates: [id("d")] });
  t.deepEqual(choose(["a", "b", "d"], [], 1), { kept: [id("a")], candidates: [] });
  t.deepEqual(choose(["b"], [], 2, ["d"]), { kept: [id("b")], candidates: [id("a")] });
  t.deepEqual(choose(["b"], ["a", "c"], 2, ["b", "d"]), { kept: [id("b")], candidates: [id("d")] });
});

test("whoever recovers hears one of those that stored the newest register, also over a change of the list", (t) => {
  for (let n = 1; n < 20; n++) t.true(storeQuorum(n) + recoveryQuorum(n) > n);
  const of = (...names: string[]): Pick<JournalRegister, "nodes"> => ({ nodes: names.map((name) => node(name)) });
  const set = (...names: string[]): Set<NodeId> => new Set(names.map(id));
  t.true(areEnough(set("a", "b"), [of("a", "b", "c"), of("a", "b", "c", "d")]));
  t.false(areEnough(set("c", "d"), [of("a", "b", "c"), of("a", "b", "c", "d")]));
});

test("the newest register is the one of the highest epoch, then generation", (t) => {
  const register = (epoch: number, generation: number): JournalRegister => ({
    ...{ epoch, generation, server: "", members: [], nodes: [] },
  });
  t.deepEqual(newestRegister([register(1, 9), null, register(2, 3), register(2, 1)]), register(2, 3));
  t.is(newestRegister([null]), undefined);
});
