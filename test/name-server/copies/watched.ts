/** Whether a promise has settled by now. */
export class Watched<T> {
  state: "pending" | "resolved" | "rejected" = "pending";
  error: unknown;
  readonly promise: Promise<T>;
  constructor(promise: Promise<T>) {
    this.promise = promise;
    promise.then(
      () => (this.state = "resolved"),
      (error: unknown) => {
        this.state = "rejected";
        this.error = error;
      },
    );
  }
}
