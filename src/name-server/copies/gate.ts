/**
 * Nothing is answered while it is not certain that no other name server has taken over: requests wait, and so do answers
 * that were ready. Storage nodes may register and speak meanwhile, and operators may ask what it waits for.
 */
import type { NameServerMethods } from "../../protocol/name-server.ts";
import type { HandlerContext, Handlers } from "../../rpc/types.ts";
import type { PeerMethods } from "../types.ts";
import type { JournalService } from "./service.ts";

type Table = Handlers<NameServerMethods, PeerMethods>;
type Handler = (request: unknown, context: HandlerContext<PeerMethods>) => unknown;

const always: ReadonlySet<string> = new Set(["registerNode", "nodeHeartbeat", "status"]);

export function gated(handlers: Table, gate: Pick<JournalService, "isOpen" | "opened"> | undefined): Table {
  if (gate === undefined) return handlers;
  const whenOpen = async <T>(outcome: () => T): Promise<Awaited<T>> => {
    while (!gate.isOpen) await gate.opened();
    return await outcome();
  };
  const late = async (answer: Promise<unknown>): Promise<unknown> => {
    const outcome = await answer.then(
      (value) => () => value,
      (error: unknown) => () => {
        throw error;
      },
    );
    return gate.isOpen ? outcome() : whenOpen(outcome);
  };
  const guard =
    (handler: Handler): Handler =>
    (request, context) => {
      if (!gate.isOpen) return whenOpen(() => guard(handler)(request, context));
      const answer = handler(request, context);
      return answer instanceof Promise ? late(answer) : answer;
    };
  const entries = Object.entries(handlers) as [string, Handler][];
  return Object.fromEntries(
    entries.map(([method, handler]) => [method, always.has(method) ? handler : guard(handler)]),
  ) as unknown as Table;
}
