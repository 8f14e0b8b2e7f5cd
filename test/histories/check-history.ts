/** Checks everything that was recorded: each file and each set of connected names by itself, with the model it needs. */
import { unreachable } from "../../src/base/assert.ts";
import { explain, type Without } from "./explain.ts";
import type { Action, ListAction, LogAction, NameAction, Operation, RegisterAction } from "./history.ts";
import { check, defaultStepsMax, type MakeModel } from "./linearizability.ts";
import { takeListingsApart } from "./listings.ts";
import { logModel, withoutLogOperation } from "./log.ts";
import { namesModel, splitByName, withoutNameOperation } from "./names.ts";
import { registerModel, withoutRegisterOperation } from "./register.ts";

export interface ObjectVerdict {
  readonly object: string;
  readonly operations: number;
  readonly type: "linearizable" | "refused" | "too hard";
  /** Why, for people. Empty if linearizable. */
  readonly report: string;
}

export function checkHistory(history: readonly Operation[], stepsMax = defaultStepsMax): ObjectVerdict[] {
  const registers = new Map<string, Operation<RegisterAction>[]>();
  const logs = new Map<string, Operation<LogAction>[]>();
  const directories = new Map<string, Operation<NameAction | ListAction>[]>();
  for (const operation of history) {
    const { action } = operation;
    switch (action.type) {
      case "write":
      case "read":
        add(registers, action.file, { ...operation, action });
        break;
      case "append":
      case "readLog":
        add(logs, action.log, { ...operation, action });
        break;
      case "create":
      case "lookup":
      case "unlink":
      case "link":
      case "rename":
      case "list":
        add(directories, action.directory, { ...operation, action });
        break;
      case "listed":
        throw new Error("a part of a listing is not an operation of a process");
      default:
        unreachable(action);
    }
  }
  return [
    ...[...registers].map(([object, operations]) =>
      verdictOf({ object, operations, makeModel: registerModel, without: withoutRegisterOperation, stepsMax }),
    ),
    ...[...logs].map(([object, operations]) =>
      verdictOf({ object, operations, makeModel: logModel, without: withoutLogOperation, stepsMax }),
    ),
    ...[...directories].flatMap(([object, operations]) =>
      splitByName(takeListingsApart(operations)).map((part) =>
        verdictOf({ object, operations: part, makeModel: namesModel, without: withoutNameOperation, stepsMax }),
      ),
    ),
  ];
}

function add<T>(groups: Map<string, T[]>, object: string, operation: T): void {
  const group = groups.get(object);
  if (group === undefined) groups.set(object, [operation]);
  else group.push(operation);
}

interface OneObject<State, A extends Action> {
  readonly object: string;
  readonly operations: readonly Operation<A>[];
  readonly makeModel: MakeModel<State, A>;
  readonly without: Without<A>;
  readonly stepsMax: number;
}

function verdictOf<State, A extends Action>(one: OneObject<State, A>): ObjectVerdict {
  const { object, operations, makeModel, without, stepsMax } = one;
  const verdict = check(makeModel, operations, stepsMax);
  const result = { object, operations: operations.length, type: verdict.type };
  switch (verdict.type) {
    case "linearizable":
      return { ...result, report: "" };
    case "too hard":
      return { ...result, report: `${object}: not decided within ${String(verdict.steps)} steps` };
    case "refused":
      return { ...result, report: `${object}: ${explain(makeModel, without, { history: operations, verdict })}` };
    default:
      return unreachable(verdict);
  }
}
