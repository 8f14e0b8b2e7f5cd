import test from "ava";
import type { GroupId, NodeId } from "../../../src/base/ids.ts";
import {
  bytesOn,
  nextMove,
  nextPlace,
  type BalancedNode,
  type SizedGroup,
} from "../../../src/name-server/repair/balance.ts";
import { nextStep, type Step } from "../../../src/name-server/repair/members.ts";

const id = (number: number): NodeId => number.toString(16).padStart(16, "0") as NodeId;
const number = (node: NodeId): number => parseInt(node, 16);
const GiB = 2 ** 30;

interface Around {
  readonly copying?: number[];
  readonly down?: number[];
  readonly gone?: number[];
  readonly draining?: number[];
  /** Hosts that differ from the node's own number. */
  readonly hosts?: Record<number, string>;
  readonly loads?: Record<number, number>;
  readonly free?: string[];
}

/** What has to be done next with a group that is meant to have two copies, in words. */
function next(nodes: number[], around: Around = {}): string {
  const { copying = [], down = [], gone = [], draining = [], hosts = {}, loads = {}, free = [] } = around;
  const step = nextStep({ nodes: nodes.map(id), copying: copying.map(id) }, 2, {
    view: (node) => ({
      isUp: !down.includes(number(node)),
      isGone: gone.includes(number(node)),
      isDraining: draining.includes(number(node)),
      host: hosts[number(node)] ?? node,
    }),
    load: (node) => loads[number(node)] ?? 0,
    hasHostBeside: (taken) => free.some((host) => !taken.has(host)),
  });
  return words(step);
}

function words(step: Step | undefined): string {
  if (step === undefined) return "nothing";
  return step.kind === "add" ? `add ${step.why}` : `${step.kind} ${String(number(step.leaver))}`;
}

test("a group that is as it should be stays, also while a member is only down", (t) => {
  t.is(next([1, 2]), "nothing");
  t.is(next([1, 2], { down: [2] }), "nothing");
  t.is(next([1, 2], { copying: [2] }), "nothing");
});

test("a gone member is replaced as long as a whole one is up, and never the last of those", (t) => {
  t.is(next([1, 2], { down: [2], gone: [2] }), "replace 2");
  t.is(next([1, 2], { copying: [1], down: [2], gone: [2] }), "nothing");
  t.is(next([1, 2, 3], { copying: [3], down: [2], gone: [2] }), "drop 2");
  t.is(next([1]), "add missing");
  t.is(next([1], { down: [1] }), "nothing");
});

test("a draining member leaves when another one is whole, and so does one of two on a host", (t) => {
  t.is(next([1, 2], { draining: [1] }), "add draining");
  t.is(next([1, 2, 3], { draining: [1], copying: [3] }), "nothing");
  t.is(next([1, 2, 3], { draining: [1] }), "drop 1");
  const together = { hosts: { 1: "a", 2: "a" } };
  t.is(next([1, 2], together), "nothing", "there is no other host");
  t.is(next([1, 2], { ...together, free: ["a"] }), "nothing");
  t.is(next([1, 2], { ...together, free: ["a", "b"] }), "add together");
  t.is(next([1, 2], { ...together, free: ["b"], down: [1] }), "nothing", "not while one is away");
});

test("of one member too many the fullest leaves, but never so that the others share a host, nor the newcomer", (t) => {
  t.is(next([1, 2, 3], { loads: { 1: 1, 2: 2, 3: 9 } }), "drop 2");
  t.is(next([1, 2, 3], { loads: { 1: 1, 2: 9 }, hosts: { 1: "a", 3: "a" } }), "drop 1");
  t.is(next([1, 2, 3], { down: [1] }), "nothing");
});

const node = (own: number, host: string = id(own)): BalancedNode => ({
  ...{ id: id(own), host, freeBytes: 100 * GiB, capacityBytes: 100 * GiB },
});
const group = (own: number, nodes: number[], bytes: number): SizedGroup => ({
  ...{ group: own as GroupId, nodes: nodes.map(id), bytes },
});

test("moves even out how full nodes are, and then there is none", (t) => {
  const all = [node(1), node(2), node(3)];
  let groups = Array.from({ length: 24 }, (_, i) => group(i, [1, 2], GiB));
  let moves = 0;
  for (let move = nextMove(groups, all); move !== undefined; move = nextMove(groups, all)) {
    const { group: moved, from, to } = move;
    groups = groups.map((each) =>
      each.group === moved ? { ...each, nodes: each.nodes.map((member) => (member === from ? to : member)) } : each,
    );
    t.true(++moves <= 24, "it comes to an end");
  }
  const bytes = all.map((each) => (bytesOn(groups).get(each.id) ?? 0) / GiB);
  t.true(Math.max(...bytes) - Math.min(...bytes) <= 2, bytes.join(" "));
});

test("a node in no group takes the smallest that may move, and none to a host that has a copy", (t) => {
  const groups = [group(0, [1, 2], 50), group(1, [1, 2], GiB), group(2, [1, 2], 5)].concat(
    Array.from({ length: 9 }, (_, i) => group(3 + i, [1, 2], 2 * GiB)),
  );
  const move = nextPlace(groups, 2, [node(1), node(2), node(3)], groups);
  t.is(move?.group, 2 as GroupId);
  t.is(move?.to, id(3));
  const onOne = nextPlace(groups, 2, [node(1, "a"), node(2, "b"), node(3, "a")], groups);
  t.is(onOne?.from, id(1));
  t.is(nextPlace(groups, 2, [node(1), node(2)], groups), undefined);
});
