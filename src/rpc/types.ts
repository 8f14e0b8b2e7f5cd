/**
 * Calls between two processes over one connection. Both ends may call. This file is the contract; `PROTOCOL.md` has
 * the bytes. Nothing here knows which methods exist: a `MethodTable` (from `protocol/`) says so.
 */

/** Checks a decoded value from outside and returns it typed, or throws with a message that names the field. */
export type Validator<T> = (value: unknown) => T;

export interface MethodSpec<Request, Reply> {
  readonly request: Validator<Request>;
  readonly reply: Validator<Reply>;
}
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the bound of a table whose members have their own types
export type MethodTable = Readonly<Record<string, MethodSpec<any, any>>>;
export type RequestOf<T extends MethodTable, M extends keyof T> = ReturnType<T[M]["request"]>;
export type ReplyOf<T extends MethodTable, M extends keyof T> = ReturnType<T[M]["reply"]>;

/** Raw bytes that travel beside a message. */
export interface Payload {
  readonly bytes: Buffer;
  /** Gives the memory back for re-use; the holder lets go of `bytes`. Not calling it is allowed. */
  release(): void;
}

export interface CallOptions {
  /** Sent beside the request; borrowed until the call has settled. */
  readonly payload?: readonly Uint8Array[];
  /** The call fails with ETIMEDOUT after this time; default `limits.callMillis`; Infinity: for calls that wait (locks). */
  readonly deadlineMillis?: number;
  /** Aborting sends a cancellation to the callee and rejects at once with the signal's reason. */
  readonly signal?: AbortSignal;
}

export interface Answer<Reply> {
  readonly reply: Reply;
  /** Empty unless the callee sent one. */
  readonly payload: Payload;
}

/**
 * One end of an open connection, after the handshake. A call rejects with FsError: the callee's errno as it was sent,
 * ETIMEDOUT, or ECONNRESET when the connection broke before the reply (whether it was executed is then unknown).
 */
export interface Peer<Remote extends MethodTable> {
  call<M extends keyof Remote & string>(
    method: M,
    request: RequestOf<Remote, M>,
    options?: CallOptions,
  ): Promise<Answer<ReplyOf<Remote, M>>>;
  /** A message without a reply: a method of the table whose reply is ignored. Lost if the connection breaks. */
  notify<M extends keyof Remote & string>(method: M, request: RequestOf<Remote, M>): void;
  close(reason: string): void;
  /** Resolves (never rejects) with the reason when the connection is gone. */
  readonly closed: Promise<string>;
  readonly isOpen: boolean;
  /** Who is at the other end, as the handshake proved. */
  readonly remote: Hello;
}

export interface HandlerContext<Remote extends MethodTable> {
  readonly peer: Peer<Remote>;
  /** The request's payload; the handler releases it. */
  readonly payload: Payload;
  /** Aborted when the caller cancelled or the connection broke. */
  readonly signal: AbortSignal;
}

/** What a handler returns when bytes travel beside its reply. `release` is called once they have been sent. */
export class WithPayload<Reply> {
  readonly reply: Reply;
  readonly payload: readonly Uint8Array[];
  readonly release: (() => void) | undefined;
  constructor(reply: Reply, payload: readonly Uint8Array[], release?: () => void) {
    this.reply = reply;
    this.payload = payload;
    this.release = release;
  }
}

/**
 * One function per method. May answer at once (no await between frame and reply then). Throws FsError for errors that
 * the caller should see; anything else is logged with its stack and answered as EIO.
 */
export type Handlers<Own extends MethodTable, Remote extends MethodTable> = {
  readonly [M in keyof Own]: (
    request: RequestOf<Own, M>,
    context: HandlerContext<Remote>,
  ) => ReplyOf<Own, M> | WithPayload<ReplyOf<Own, M>> | Promise<ReplyOf<Own, M> | WithPayload<ReplyOf<Own, M>>>;
};

/** The first message each way. */
export interface Hello {
  readonly role: "name-server" | "storage-node" | "client" | "admin";
  /** Protocol versions that this side speaks; the highest common one is used, none in common closes the connection. */
  readonly versions: readonly number[];
  /** Its NodeId, SessionId or anything that names it in the other side's log. */
  readonly id: string;
}

/** A place to listen on or to connect to: host (name, IPv4, or IPv6 without brackets) and port. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Carries whole binary messages in order: WebSocket, or memory in simulation. */
export interface Transport {
  /** Rejects with FsError ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH... */
  connect(address: Address, signal?: AbortSignal): Promise<Connection>;
  /** Rejects with EADDRINUSE...; port 0 picks one. */
  listen(address: Address, onConnection: (connection: Connection) => void): Promise<Listener>;
}

export interface Listener {
  readonly address: Address;
  /** Stops listening and closes its connections. */
  close(): Promise<void>;
}

export interface Connection {
  /** Sends the concatenation of `pieces` as one message; borrows them until `onSent`. Never blocks: watch `unsentBytes`. */
  send(pieces: readonly Uint8Array[], onSent?: () => void): void;
  readonly unsentBytes: number;
  /** Set once, synchronously after the connection was handed over. Messages are fresh buffers. */
  onMessage: (message: Buffer) => void;
  onClose: (reason: string) => void;
  /**
   * Asked at the beginning of a message: whether it may come in pieces as they arrive, by `onPiece` (borrowed until that
   * returns) instead of `onMessage`. A transport need not ask.
   */
  takesPieces: () => boolean;
  onPiece: (piece: Buffer, isLast: boolean) => void;
  /** Stop and go on reading: what arrives meanwhile waits in the network. */
  pause(): void;
  resume(): void;
  close(reason: string): void;
  /** For logs. */
  readonly remoteAddress: string;
}
