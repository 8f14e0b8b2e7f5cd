/** What a process does in its own folder: one system call or a few, with what must come of it. */
import type { PathClient } from "../vfs/path-client.ts";
import type { OwnModel } from "./own-model.ts";

/** A folder, and what it must hold. Paths in it begin with "/"; "" is the folder itself. */
export interface Own {
  readonly base: string;
  readonly model: OwnModel;
}

export interface Step {
  readonly what: string;
  /** Changes the model, and says what must come of it: a value, or an errno. */
  readonly expected: () => unknown;
  readonly run: (client: PathClient) => Promise<unknown>;
}

/** One that makes another state of the folder. */
export function changing({ model }: Own, { what, run, expected }: Step): Step {
  return {
    what,
    run,
    expected: () => {
      const result = expected();
      model.changed();
      return result;
    },
  };
}
