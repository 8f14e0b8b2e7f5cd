/**
 * A name server whose store has failed answers nobody: its process is about to end, and the next one knows what is
 * durable. Clients send again to that one what got no answer; an error would be an answer, upon which what ran ahead is
 * given up.
 */
import type { MetadataStore } from "../metadata-store/types.ts";
import type { NameServerMethods } from "../protocol/name-server.ts";
import type { HandlerContext, Handlers } from "../rpc/types.ts";
import type { PeerMethods } from "./types.ts";

type Table = Handlers<NameServerMethods, PeerMethods>;
type Handler = (request: unknown, context: HandlerContext<PeerMethods>) => unknown;

export function silentAfterFailure(handlers: Table, store: Pick<MetadataStore, "hasFailed">): Table {
  const refuse = (error: unknown): Promise<never> => {
    if (store.hasFailed) return new Promise<never>(() => undefined);
    throw error;
  };
  const silent =
    (handler: Handler): Handler =>
    (request, context) => {
      let answer: unknown;
      try {
        answer = handler(request, context);
      } catch (error) {
        return refuse(error);
      }
      return answer instanceof Promise ? answer.catch(refuse) : answer;
    };
  const entries = Object.entries(handlers) as [string, Handler][];
  return Object.fromEntries(entries.map(([method, handler]) => [method, silent(handler)])) as unknown as Table;
}
