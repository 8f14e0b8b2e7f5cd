/** For fakes of the name server under which nothing runs ahead. */
import type { NameServer } from "../../src/remote/types.ts";

export const nothingAhead: Pick<NameServer, "ahead" | "inodeNumbers"> = {
  ahead: {
    isOpen: false,
    size: 0,
    add: () => undefined,
    addAndWait: () => Promise.resolve(undefined),
    send: () => undefined,
    flush: () => Promise.resolve(),
  },
  inodeNumbers: { take: () => undefined },
};
