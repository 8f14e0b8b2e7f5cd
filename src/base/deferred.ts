/** A promise with its ends in hand. A rejection that nobody waits for is no unhandled one: its owner reports it elsewhere. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (reason: unknown) => void;
}

export function deferred<T>(): Deferred<T> {
  const { promise, resolve, reject } = withResolvers<T>();
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}

/** Promise.withResolvers, which Node 20 does not have yet. */
function withResolvers<T>(): Deferred<T> {
  let resolve!: (value: T) => void;
  let reject!: (reason: unknown) => void;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
