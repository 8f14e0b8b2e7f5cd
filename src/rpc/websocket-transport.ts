/**
 * Connections over WebSocket. Compression is off, messages are bounded, and clients send with a zero mask, which `ws`
 * skips: a mask protects intermediaries of browsers, which are not here (1 MiB messages: 305 against 2,106 MiB/s).
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { WebSocket, WebSocketServer, type ClientOptions } from "ws";
import { errnoOf, FsError } from "../base/errno.ts";
import { limits } from "../base/limits.ts";
import { FrameSplitter } from "./frame-splitter.ts";
import type { Address, Connection, Listener, Transport } from "./types.ts";

export interface WebSocketTransportOptions {
  /** Answers plain HTTP requests on a listening port; default: 426. */
  readonly onHttp?: (request: IncomingMessage, response: ServerResponse) => void;
}

export function createWebSocketTransport(options: WebSocketTransportOptions = {}): Transport {
  return {
    connect: (address, signal) => connect(address, signal),
    listen: (address, onConnection) => listen(address, onConnection, options),
  };
}

function connect(address: Address, signal: AbortSignal | undefined): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const where = `${urlHost(address.host)}:${String(address.port)}`;
    // generateMask is in ws, but not in its types.
    const clientOptions: ClientOptions & { generateMask: (mask: Buffer) => void } = {
      perMessageDeflate: false,
      maxPayload: limits.frameBytesMax,
      handshakeTimeout: limits.connectMillis,
      generateMask: (mask) => mask.fill(0),
    };
    const socket = new WebSocket(`ws://${where}/`, clientOptions);
    const onAbort = (): void => {
      socket.terminate();
    };
    const settled = (): void => {
      signal?.removeEventListener("abort", onAbort);
      socket.removeListener("error", onError);
    };
    const onError = (cause: Error): void => {
      settled();
      socket.on("error", () => undefined);
      const errno = errnoOf(cause);
      reject(new FsError(errno === "EIO" ? "ECONNREFUSED" : errno, `${where}: ${cause.message}`, { cause }));
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    socket.on("error", onError);
    let stream: Duplex | undefined;
    socket.once("upgrade", (response) => {
      stream = response.socket;
    });
    socket.once("open", () => {
      settled();
      resolve(adopt(socket, where, { stream, fromClient: false }));
    });
  });
}

async function listen(
  address: Address,
  onConnection: (connection: Connection) => void,
  options: WebSocketTransportOptions,
): Promise<Listener> {
  const server = createServer(options.onHttp ?? upgradeRequired);
  const webSockets = new WebSocketServer({
    server,
    perMessageDeflate: false,
    maxPayload: limits.frameBytesMax,
    clientTracking: true,
  });
  // The HTTP server's errors are re-emitted here; those of listening are handled below.
  webSockets.on("error", () => undefined);
  webSockets.on("connection", (socket, request) => {
    const remote = request.socket;
    const where = `${remote.remoteAddress ?? "?"}:${String(remote.remotePort ?? 0)}`;
    onConnection(adopt(socket, where, { stream: remote, fromClient: true }));
  });
  await started(server, address);
  const bound = server.address() as AddressInfo;
  return {
    address: { host: address.host, port: bound.port },
    close: () =>
      new Promise((resolve) => {
        for (const socket of webSockets.clients) socket.terminate();
        webSockets.close();
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}

function started(server: Server, address: Address): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => {
      reject(new FsError(errnoOf(cause), `cannot listen on ${address.host}:${String(address.port)}`, { cause }));
    });
    server.listen({ host: address.host, port: address.port }, resolve);
  });
}

function upgradeRequired(_request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(426, { "content-type": "text/plain", upgrade: "websocket" }).end("dfs speaks WebSocket here\n");
}

/** `stream`: what the WebSocket reads from. */
function adopt(
  socket: WebSocket,
  remoteAddress: string,
  { stream, fromClient }: { stream: Duplex | undefined; fromClient: boolean },
): Connection {
  let problem: string | undefined;
  const connection: Connection = {
    onMessage: () => undefined,
    onClose: () => undefined,
    takesPieces: () => false,
    onPiece: () => undefined,
    remoteAddress,
    get unsentBytes() {
      return socket.bufferedAmount;
    },
    send(pieces, onSent) {
      const message = pieces.length === 1 ? (pieces[0] as Uint8Array) : Buffer.concat(pieces);
      if (onSent === undefined) socket.send(message, { binary: true });
      else
        socket.send(message, { binary: true }, () => {
          onSent();
        });
    },
    pause: () => {
      socket.pause();
    },
    resume: () => {
      socket.resume();
    },
    close(reason) {
      problem ??= reason;
      // A closing handshake would queue behind what the peer does not read: then the socket goes at once.
      if (socket.readyState === WebSocket.OPEN && socket.bufferedAmount === 0) {
        socket.close(1002, Buffer.from(reason).subarray(0, 100).toString());
      } else socket.terminate();
    },
  };
  if (stream !== undefined) split(socket, stream, connection, fromClient);
  socket.on("message", (message: Buffer, isBinary) => {
    if (isBinary) connection.onMessage(message);
    else connection.close("a text message");
  });
  socket.on("error", (error) => {
    problem ??= error.message;
  });
  socket.on("close", (_code, reason) => {
    const said = reason.toString();
    connection.onClose(problem ?? (said === "" ? "closed by the other side" : said));
  });
  return connection;
}

/** Has bulk taken out before `ws` reads: its listener hears everything else. */
function split(socket: WebSocket, stream: Duplex, connection: Connection, fromClient: boolean): void {
  const listeners = stream.listeners("data") as ((this: Duplex, bytes: Buffer) => void)[];
  let hasFailed = false;
  // Nothing is read any more after an error.
  socket.once("error", () => (hasFailed = true));
  const splitter = new FrameSplitter({
    fromClient,
    expectsBulk: () => socket.readyState === WebSocket.OPEN && connection.takesPieces(),
    onBulk: (piece, isLast) => {
      connection.onPiece(piece, isLast);
    },
    pass: (bytes) => {
      if (!hasFailed) for (const listener of listeners) listener.call(stream, bytes);
    },
  });
  for (const listener of listeners) stream.removeListener("data", listener);
  stream.on("data", (bytes: Buffer) => {
    splitter.write(bytes);
  });
}

function urlHost(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
