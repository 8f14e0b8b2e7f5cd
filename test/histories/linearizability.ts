/**
 * Is there an order of the operations, each between its invocation and its return, in which a sequential object gives
 * every result? The search of Wing and Gong in the order of time, as Lowe's "just in time": it keeps the set of all
 * configurations (a state, and which of the operations in flight are in it) that are still possible. A return throws away
 * the ones that cannot explain it; when none is left there is no such order. Equal configurations are kept once.
 *
 * Invariants: an operation takes effect only when a return needs it, which loses no order; a read that fits the state is
 * in every configuration at once, because to have it done forbids nothing.
 */
import type { Action, Operation } from "./history.ts";

/** A sequential object. States are immutable and compared by `key`. */
export interface Model<State, A extends Action> {
  readonly initial: State;
  key(state: State): string;
  /**
   * The state after the operation; undefined if its result cannot be in this state. Of an operation without result, what
   * it does in this state. The same state (===) if it changes nothing.
   */
  apply(state: State, operation: Operation<A>): State | undefined;
  /** Whether an operation with this result changes no state, whatever the state is. */
  isRead(operation: Operation<A>): boolean;
  describe(state: State): string;
}

/** Builds the model for a history: it may look ahead (what was read later), but must allow every valid order. */
export type MakeModel<State, A extends Action> = (operations: readonly Operation<A>[]) => Model<State, A>;

export type Verdict<A extends Action> =
  | { readonly type: "linearizable" }
  /** No order explains the result of `culprit`. `states`: what could have been then, before what was in flight. */
  | { readonly type: "refused"; readonly culprit: Operation<A>; readonly states: readonly string[] }
  | { readonly type: "too hard"; readonly steps: number };

interface Configuration<State> {
  readonly state: State;
  /** Indices of the operations in flight that have taken effect, ascending. */
  readonly done: readonly number[];
}

export const defaultStepsMax = 5_000_000;

export function check<State, A extends Action>(
  makeModel: MakeModel<State, A>,
  history: readonly Operation<A>[],
  stepsMax = defaultStepsMax,
): Verdict<A> {
  const search = new Search(makeModel(history), stepsMax);
  try {
    for (const event of eventsInOrder(history)) {
      if (event.isReturn) {
        const before = search.states();
        search.return(event.index, event.operation);
        if (search.isEmpty) return { type: "refused", culprit: event.operation, states: before };
      } else search.invoke(event.index, event.operation);
    }
  } catch (error) {
    if (error instanceof TooHard) return { type: "too hard", steps: stepsMax };
    throw error;
  }
  return { type: "linearizable" };
}

class TooHard extends Error {}

class Search<State, A extends Action> {
  private readonly model: Model<State, A>;
  private readonly inFlight = new Map<number, Operation<A>>();
  private configurations: Configuration<State>[];
  private stepsLeft: number;

  constructor(model: Model<State, A>, stepsMax: number) {
    this.model = model;
    this.configurations = [{ state: model.initial, done: [] }];
    this.stepsLeft = stepsMax;
  }

  get isEmpty(): boolean {
    return this.configurations.length === 0;
  }

  states(): string[] {
    return [...new Map(this.configurations.map(({ state }) => [this.model.key(state), state])).values()].map((state) =>
      this.model.describe(state),
    );
  }

  invoke(index: number, operation: Operation<A>): void {
    // A read of which nobody knows the result says nothing.
    if (operation.result === undefined && this.model.isRead(operation)) return;
    this.inFlight.set(index, operation);
    this.configurations = this.distinct(this.configurations.map((configuration) => this.withReads(configuration)));
  }

  /** Lets operations in flight take effect, in every possible order, until this one has. */
  return(index: number, operation: Operation<A>): void {
    const seen = new Set<string>();
    const explained: Configuration<State>[] = [];
    const open = [...this.configurations];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      const { state, done } = next;
      if (done.includes(index)) {
        explained.push({ state, done: done.filter((other) => other !== index) });
        continue;
      }
      for (const [candidate, other] of this.inFlight) {
        if (done.includes(candidate)) continue;
        const after = this.apply(state, other);
        // What has no result and does nothing now may do something later.
        if (after === undefined || (after === state && other.result === undefined)) continue;
        const configuration = this.withReads({ state: after, done: insert(done, candidate) });
        const key = this.key(configuration);
        if (seen.has(key)) continue;
        seen.add(key);
        open.push(configuration);
      }
    }
    this.inFlight.delete(index);
    this.configurations = this.distinct(explained);
    assertKnown(operation);
  }

  private withReads(configuration: Configuration<State>): Configuration<State> {
    let { done } = configuration;
    for (const [index, operation] of this.inFlight) {
      if (done.includes(index) || !this.model.isRead(operation)) continue;
      if (this.apply(configuration.state, operation) === configuration.state) done = insert(done, index);
    }
    return { state: configuration.state, done };
  }

  private apply(state: State, operation: Operation<A>): State | undefined {
    if (this.stepsLeft-- <= 0) throw new TooHard();
    return this.model.apply(state, operation);
  }

  private distinct(configurations: readonly Configuration<State>[]): Configuration<State>[] {
    return [...new Map(configurations.map((configuration) => [this.key(configuration), configuration])).values()];
  }

  private key({ state, done }: Configuration<State>): string {
    return `${done.join(",")} ${this.model.key(state)}`;
  }
}

function insert(done: readonly number[], index: number): number[] {
  return [...done, index].sort((a, b) => a - b);
}

function assertKnown(operation: Operation): void {
  if (operation.result === undefined) throw new Error("an operation returned without a result");
}

interface Event<A extends Action> {
  readonly time: number;
  readonly isReturn: boolean;
  readonly index: number;
  readonly operation: Operation<A>;
}

/** At equal times invocations come first: what touches overlaps. */
function eventsInOrder<A extends Action>(history: readonly Operation<A>[]): Event<A>[] {
  const events: Event<A>[] = [];
  history.forEach((operation, index) => {
    const { invoked, returned } = operation;
    if (returned < invoked) throw new Error(`an operation of process ${String(operation.process)} returned too early`);
    events.push({ time: invoked, isReturn: false, index, operation });
    if (returned !== Infinity) events.push({ time: returned, isReturn: true, index, operation });
  });
  return events.sort((a, b) => a.time - b.time || Number(a.isReturn) - Number(b.isReturn));
}
