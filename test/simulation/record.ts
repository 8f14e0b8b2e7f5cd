/**
 * What the processes on the simulated clients did and saw, and which of it counts. What a client had not synced when it
 * lost its session, or died, may have happened or not, and what it saw of that alone says nothing. Nor does what a client
 * saw of a change of its own before the call that makes it returned (SEMANTICS.md). All else counts.
 */
import type { Action, Operation, Result } from "../histories/history.ts";
import { namesOf } from "../histories/names.ts";
import type { SyncAction } from "./acting.ts";

/** One life of one client. */
export interface Life {
  readonly name: string;
  /** The steps at which what was not synced may have been lost, ascending. */
  readonly losses: number[];
}

interface Entry {
  readonly life: Life;
  readonly process: number;
  readonly operation: number;
  readonly action: Action | SyncAction;
  readonly invoked: number;
  returned: number;
  result: Result | undefined;
}

export class Recording {
  readonly entries: Entry[] = [];

  begin(life: Life, process: number, action: Action | SyncAction, step: number): Entry {
    const entry = {
      ...{ life, process, operation: this.entries.length, action, invoked: step },
      returned: Infinity,
      result: undefined,
    };
    this.entries.push(entry);
    return entry;
  }

  end(entry: Entry, result: Result, step: number): void {
    if (result.type === "failed") {
      // What it had written before may be gone with it.
      entry.life.losses.push(step);
      return;
    }
    entry.result = result;
    entry.returned = step;
  }

  /** What has to be explained by one order. */
  history(): Operation[] {
    const syncs = this.entries.filter(({ action, result }) => isSync(action) && result !== undefined);
    const isKept = (entry: Entry): boolean => {
      const loss = lossAfter(entry);
      if (loss === undefined) return true;
      return syncs.some(
        (sync) =>
          sync.life === entry.life && sync.invoked >= entry.returned && sync.returned <= loss && covers(sync, entry),
      );
    };
    const uncertain = new Set(
      this.entries.filter((entry) => isChange(entry) && entry.result !== undefined && !isKept(entry)),
    );
    return this.entries.flatMap((entry): Operation[] => {
      const { action, process, operation, invoked, returned, result } = entry;
      if (isSync(action)) return [];
      const common = { process, operation, action, invoked };
      if (uncertain.has(entry)) return [{ ...common, result: undefined, returned: Infinity }];
      if (!isChange(entry) && [...uncertain].some((change) => mayShow(entry, change))) return [];
      if (!isChange(entry) && this.entries.some((change) => isChange(change) && isSeenEarly(entry, change))) return [];
      return [{ ...common, result, returned }];
    });
  }
}

function isSync(action: Action | SyncAction): action is SyncAction {
  return action.type === "fsync" || action.type === "sync";
}

/** Whether it changed something, as far as it is known. */
function isChange({ action, result }: Entry): boolean {
  if (result?.type === "refused") return false;
  return ["write", "append", "create", "unlink", "link", "rename"].includes(action.type);
}

function covers({ action: sync }: Entry, { action }: Entry): boolean {
  return sync.type === "sync" || (sync.type === "fsync" && action.type === "write" && action.file === sync.file);
}

/** Whether a look of the same client can have shown what was lost later. */
function mayShow(look: Entry, change: Entry): boolean {
  if (look.life !== change.life || objectOf(look) !== objectOf(change)) return false;
  // What could not be stored may be seen here for a while after that was told.
  if (change.action.type === "write") {
    return look.result?.type === "value" && look.result.value === change.action.value;
  }
  if (change.action.type === "append") {
    return look.result?.type === "records" && look.result.records.includes(change.action.record);
  }
  return look.returned >= change.invoked && look.invoked <= (lossAfter(change) ?? 0);
}

/** Whether it shows, or may show, a change that its own client is about to finish. */
function isSeenEarly({ life, returned, action, result }: Entry, change: Entry): boolean {
  if (life !== change.life || change.invoked > returned || change.returned <= returned) return false;
  const made = change.action;
  if (made.type === "write") return result?.type === "value" && result.value === made.value;
  if (made.type === "append") return result?.type === "records" && result.records.includes(made.record);
  if (!("directory" in made) || !("directory" in action) || made.directory !== action.directory) return false;
  if (made.type === "list" || action.type === "list") return true;
  return namesOf(action).some((name) => namesOf(made).includes(name));
}

function lossAfter({ life, returned }: Entry): number | undefined {
  return life.losses.find((step) => step >= returned);
}

function objectOf({ action }: Entry): string {
  if ("file" in action) return action.file;
  if ("log" in action) return action.log;
  return "directory" in action ? action.directory : "";
}
