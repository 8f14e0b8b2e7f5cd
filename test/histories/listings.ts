/**
 * What a listing must show. It is not one step: on Linux it is several system calls, and names come and go between them.
 * The rule: every name that is there during the whole listing is listed exactly once, every name that is not there during
 * all of it is not listed, and one that comes or goes may be either. That is the same as a look at each name by itself at
 * some moment of the listing, so each listing is taken apart into these looks.
 */
import type { ListAction, ListedAction, NameAction, Operation } from "./history.ts";
import { namesOf } from "./names.ts";

export function takeListingsApart(
  history: readonly Operation<NameAction | ListAction>[],
): Operation<NameAction | ListedAction>[] {
  const all = new Set<string>();
  for (const { action, result } of history) {
    if (action.type !== "list") for (const name of namesOf(action)) all.add(name);
    if (result?.type === "names") for (const name of result.names) all.add(name);
  }
  return history.flatMap((operation): Operation<NameAction | ListedAction>[] => {
    const { action, result } = operation;
    if (action.type !== "list") return [{ ...operation, action }];
    if (result?.type !== "names") return [];
    const looks: Operation<ListedAction>[] = [];
    for (const name of all) {
      const times = result.names.filter((other) => other === name).length;
      looks.push({
        ...operation,
        action: { type: "listed", directory: action.directory, name },
        result: { type: "times", times },
      });
    }
    return looks;
  });
}
