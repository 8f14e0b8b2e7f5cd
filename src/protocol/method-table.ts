/** Tables of methods: for each, what checks a request and a reply. */
import { z } from "zod";
import { checked } from "./types.ts";

/** An empty message. (Not `z.object({})`: its type would have every key.) */
export const nothing: z.ZodType<{ readonly nothing?: undefined }> = z.object({ nothing: z.undefined().optional() });

export type Table<S> = {
  readonly [M in keyof S]: S[M] extends { request: z.ZodType<infer Q>; reply: z.ZodType<infer R> }
    ? { readonly request: (value: unknown) => Q; readonly reply: (value: unknown) => R }
    : never;
};

/** Checks by schema. */
export function table<S extends Record<string, { request: z.ZodType; reply: z.ZodType }>>(all: S): Table<S> {
  const out: Record<string, unknown> = {};
  for (const [method, { request, reply }] of Object.entries(all)) {
    out[method] = { request: checked(request), reply: checked(reply) };
  }
  return out as Table<S>;
}
