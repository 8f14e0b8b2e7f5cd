/** Makes a refused history as small as can be while it is still refused, and writes it down for people. */
import { unreachable } from "../../src/base/assert.ts";
import type { Action, Operation } from "./history.ts";
import { check, type MakeModel, type Verdict } from "./linearizability.ts";

/** The history without one operation, if no valid history becomes invalid by that; undefined if it must stay. */
export type Without<A extends Action> = (
  history: readonly Operation<A>[],
  operation: Operation<A>,
) => readonly Operation<A>[] | undefined;

export type Refused<A extends Action> = Extract<Verdict<A>, { type: "refused" }>;

interface Refusal<A extends Action> {
  readonly history: readonly Operation<A>[];
  readonly verdict: Refused<A>;
}

/** Enough for a small part of a history. */
const stepsMax = 500_000;
const triesMax = 2_000;
const shownMax = 40;
const charactersMax = 160;

export function explain<State, A extends Action>(
  makeModel: MakeModel<State, A>,
  without: Without<A>,
  { history, verdict }: Refusal<A>,
): string {
  let refusal: Refusal<A> = { history, verdict };
  let tries = triesMax;
  const tryInstead = (smaller: readonly Operation<A>[]): boolean => {
    if (tries-- <= 0) return false;
    const outcome = check(makeModel, smaller, stepsMax);
    if (outcome.type === "refused") refusal = { history: smaller, verdict: outcome };
    return outcome.type === "refused";
  };
  tryInstead(until(history, verdict.culprit.returned));
  // Many at once first, then one by one.
  for (let size = Math.ceil(refusal.history.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let start = 0; start < refusal.history.length;) {
      const smaller = withoutAll(refusal.history, refusal.history.slice(start, start + size), without);
      if (smaller.length === refusal.history.length || !tryInstead(smaller)) start += size;
    }
  }
  return format(refusal, history);
}

/** What was known at this time. A beginning of a valid history is valid. */
function until<A extends Action>(history: readonly Operation<A>[], time: number): readonly Operation<A>[] {
  return history
    .filter(({ invoked }) => invoked <= time)
    .map((operation) =>
      operation.returned <= time ? operation : { ...operation, result: undefined, returned: Infinity },
    );
}

function withoutAll<A extends Action>(
  history: readonly Operation<A>[],
  left: readonly Operation<A>[],
  without: Without<A>,
): readonly Operation<A>[] {
  return left.reduce((rest, operation) => {
    // It may have been rewritten when another one went.
    const now = rest.find((other) => same(other, operation));
    return now === undefined ? rest : (without(rest, now) ?? rest);
  }, history);
}

/** The same one, however much of its result was left out. */
function same(a: Operation, b: Operation): boolean {
  return a.process === b.process && a.operation === b.operation && a.action === b.action;
}

/** `whole`: what returned after the contradiction was left without result, but people may see how it ended. */
function format<A extends Action>(
  { history, verdict: { culprit, states } }: Refusal<A>,
  whole: readonly Operation<A>[],
): string {
  const ordered = near(culprit, history).sort((a, b) => a.invoked - b.invoked);
  const start = ordered[0]?.invoked ?? 0;
  const lines = ordered.map((reduced) => {
    const operation = reduced.result === undefined ? (whole.find((other) => same(other, reduced)) ?? reduced) : reduced;
    const mark = reduced === culprit ? "  <-- cannot be" : "";
    return `  ${timesOf(operation, start)}  process ${String(operation.process)}  ${textOf(operation)}${mark}`;
  });
  const leftOut = history.length - Math.min(lines.length, shownMax);
  return [
    "No order of these operations explains all results (milliseconds from the first one's beginning):",
    ...(leftOut > 0 ? [`  ... ${String(leftOut)} operations on other names or earlier`] : []),
    ...lines.slice(-shownMax),
    `Before what was in flight when the marked one returned: ${states.slice(0, 4).map(shortened).join("; or ")}.`,
  ].join("\n");
}

/** What cannot be left out may still be too much to read: then what shares a name with the contradiction. */
function near<A extends Action>(culprit: Operation<A>, history: readonly Operation<A>[]): Operation<A>[] {
  if (history.length <= shownMax) return [...history];
  const names = namesIn(culprit.action);
  return history.filter(({ action }) => names.length === 0 || namesIn(action).some((name) => names.includes(name)));
}

function namesIn(action: Action): readonly string[] {
  if (action.type === "rename") return [action.from, action.to];
  return "name" in action ? [action.name] : [];
}

function timesOf({ invoked, returned }: Operation, start: number): string {
  const millis = (time: number): string =>
    (time === Infinity ? "never" : ((time - start) / 1e6).toFixed(3)).padStart(9);
  return `${millis(invoked)} .. ${millis(returned)}`;
}

function textOf({ action, result }: Operation): string {
  return shortened(`${actionText(action)}: ${resultText(result)}`);
}

function actionText(action: Action): string {
  switch (action.type) {
    case "write":
      return `write ${action.value}`;
    case "read":
    case "list":
      return action.type;
    case "append":
      return `append ${action.record}`;
    case "readLog":
      return "read the log";
    case "create":
    case "lookup":
    case "unlink":
      return `${action.type} ${action.name}`;
    case "listed":
      return `list, of which ${action.name}`;
    case "link":
      return `link ${String(action.inode)} ${action.name}`;
    case "rename":
      return `rename ${action.from} ${action.to}`;
    default:
      return unreachable(action);
  }
}

function resultText(result: Operation["result"]): string {
  if (result === undefined) return "not known";
  switch (result.type) {
    case "done":
      return "done";
    case "value":
      return result.value;
    case "records":
      return result.records.length === 0 ? "nothing" : result.records.join(" ");
    case "inode":
      return `inode ${String(result.inode)}`;
    case "names":
      return result.names.join(" ");
    case "times":
      return result.times === 0 ? "not there" : result.times === 1 ? "there" : `there ${String(result.times)} times`;
    case "refused":
    case "failed":
      return result.errno;
    default:
      return unreachable(result);
  }
}

/** The end of a long text says more: it is where the latest is. */
function shortened(text: string): string {
  const half = charactersMax / 2;
  return text.length <= charactersMax ? text : `${text.slice(0, half)} ... ${text.slice(-half)}`;
}
