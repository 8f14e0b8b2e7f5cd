/** One end of a connection that a test holds in its hands: it answers, keeps silent, or breaks. */
import type { Clock } from "../../../src/base/clock.ts";
import { FsError } from "../../../src/base/errno.ts";
import { limits } from "../../../src/base/limits.ts";
import type { Answer, CallOptions, Hello, MethodTable, Peer, ReplyOf, RequestOf } from "../../../src/rpc/types.ts";

export interface FakeCall {
  readonly method: string;
  readonly request: unknown;
  readonly options: CallOptions;
}

/** What the other side does with a call: its reply, or a promise of it, or an error thrown. */
export type Answering = (call: FakeCall) => unknown;

/** A reply with bytes beside it. */
export class Bytes {
  readonly reply: unknown;
  readonly bytes: Buffer;
  constructor(reply: unknown, bytes: Buffer) {
    this.reply = reply;
    this.bytes = bytes;
  }
}

/** The other side never answers. */
export const silence = new Promise<never>(() => undefined);

export class FakePeer<T extends MethodTable> implements Peer<T> {
  readonly remote: Hello;
  readonly closed: Promise<string>;
  readonly calls: FakeCall[] = [];
  isOpen = true;
  answering: Answering;
  ignoresDeadlines = false;
  readonly #clock: Clock;
  readonly #pending = new Set<(error: Error) => void>();
  #resolveClosed!: (reason: string) => void;

  constructor(clock: Clock, answering: Answering, remote?: Partial<Hello>) {
    this.#clock = clock;
    this.answering = answering;
    this.remote = { role: "name-server", versions: [1], id: "fake", ...remote };
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
  }

  get pending(): number {
    return this.#pending.size;
  }

  call<M extends keyof T & string>(
    method: M,
    request: RequestOf<T, M>,
    options: CallOptions = {},
  ): Promise<Answer<ReplyOf<T, M>>> {
    return new Promise((resolve, reject) => {
      if (!this.isOpen) {
        reject(new FsError("ECONNRESET", `${method}: the connection is closed`));
        return;
      }
      const { signal, deadlineMillis = limits.callMillis } = options;
      if (signal?.aborted === true) {
        reject(signal.reason as Error);
        return;
      }
      const call = { method, request, options };
      this.calls.push(call);
      const fail = (error: Error): void => {
        finish();
        reject(error);
      };
      const onAbort = (): void => {
        fail(signal?.reason as Error);
      };
      const timer =
        deadlineMillis === Infinity || this.ignoresDeadlines
          ? undefined
          : this.#clock.after(deadlineMillis, () => {
              fail(new FsError("ETIMEDOUT", `${method}: no reply`));
            });
      const finish = (): void => {
        this.#pending.delete(fail);
        timer?.cancel();
        signal?.removeEventListener("abort", onAbort);
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#pending.add(fail);
      Promise.resolve()
        .then(() => this.answering(call))
        .then(
          (value) => {
            if (!this.#pending.has(fail)) return;
            finish();
            const { reply, bytes } = value instanceof Bytes ? value : new Bytes(value, Buffer.alloc(0));
            resolve({ reply: reply as ReplyOf<T, M>, payload: { bytes, release: () => undefined } });
          },
          (error: unknown) => {
            if (this.#pending.has(fail)) fail(error as Error);
          },
        );
    });
  }

  notify(): void {
    throw new Error("nobody sends notices here");
  }

  close(reason: string): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    for (const fail of [...this.#pending]) fail(new FsError("ECONNRESET", reason));
    this.#resolveClosed(reason);
  }
}
