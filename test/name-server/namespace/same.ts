/** Throws with what differs: for checks that run too often to be assertions of a test each. */
export function same(got: unknown, expected: unknown, what: string): void {
  if (got !== expected) throw new Error(`${what}: got ${String(got)}, expected ${String(expected)}`);
}
