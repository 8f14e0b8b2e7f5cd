import test from "ava";
import { Packr } from "msgpackr";
import { WebSocket } from "ws";
import { systemClock } from "../../src/base/clock.ts";
import { silentLog, type Log } from "../../src/base/log.ts";
import { systemRandom } from "../../src/base/random.ts";
import { decodeFrame, encodeFrame, frameKinds, headerBytes } from "../../src/rpc/frames.ts";
import { introduce } from "../../src/rpc/handshake.ts";
import { createWebSocketTransport } from "../../src/rpc/websocket-transport.ts";
import { createAuthenticator } from "../../src/security/secret.ts";
import { openPair, table, type Pair, type Table } from "./support.ts";
import type { Handlers } from "../../src/rpc/types.ts";

const transport = createWebSocketTransport();
const handlers: Handlers<Table, Table> = {
  echo: (request) => request,
  store: () => ({ sum: 0 }),
  fetch: () => ({}),
  fail: () => ({}),
  wait: () => new Promise(() => undefined),
};

function recordingLog(lines: string[]): Log {
  const add = (fields: unknown, message: string): void => {
    lines.push(`${message} ${JSON.stringify(fields)}`);
  };
  return { ...silentLog, warn: add, error: add, child: () => recordingLog(lines) };
}

/** Opens a raw connection that has done the handshake, sends what `attack` makes, and waits for its end. */
async function attacked(pair: Pair, attack: (send: (bytes: Buffer) => void) => void): Promise<string> {
  const connection = await transport.connect(pair.listener.address);
  await introduce(connection, {
    hello: { role: "client", id: "attacker" },
    authenticator: undefined,
    clock: systemClock,
    random: systemRandom,
  });
  const closed = new Promise<string>((resolve) => {
    connection.onClose = resolve;
  });
  attack((bytes) => {
    connection.send([bytes]);
  });
  return closed;
}

const attacks: Record<string, (send: (bytes: Buffer) => void) => void> = {
  "an empty message": (send) => {
    send(Buffer.alloc(0));
  },
  "an unknown kind": (send) => {
    send(Buffer.alloc(headerBytes, 99));
  },
  "a cut message": (send) => {
    send(encodeFrame(frameKinds.request, 1, { message: ["echo", { text: "cut" }] }).subarray(0, -3));
  },
  "an unknown method": (send) => {
    send(encodeFrame(frameKinds.request, 1, { message: ["format", {}] }));
  },
  "a method of Object's prototype": (send) => {
    send(encodeFrame(frameKinds.request, 1, { message: ["constructor", {}] }));
  },
  "a request with a wrong field": (send) => {
    send(encodeFrame(frameKinds.request, 1, { message: ["echo", { text: 7 }] }));
  },
  "the same call twice": (send) => {
    for (let i = 0; i < 2; i++) send(encodeFrame(frameKinds.request, 1, { message: ["wait", {}] }));
  },
  "a payload that is too large": (send) => {
    send(encodeFrame(frameKinds.request, 1, { message: ["store", { bytes: 1 }], payloadBytes: 2 ** 31 }));
  },
  "more payload than announced": (send) => {
    send(encodeFrame(frameKinds.request, 1, { message: ["store", { bytes: 1 }], payloadBytes: 70_000 }));
    send(encodeFrame(frameKinds.payload, 1));
    send(Buffer.alloc(70_001));
  },
  "a second handshake": (send) => {
    send(encodeFrame(frameKinds.hello, 0, { message: {} }));
  },
  "too many unanswered calls": (send) => {
    for (let i = 0; i < 1_100; i++) send(encodeFrame(frameKinds.request, i, { message: ["wait", {}] }));
  },
  "a frame above the limit": (send) => {
    send(Buffer.alloc(1024 * 1024 + 1));
  },
};

for (const [title, attack] of Object.entries(attacks)) {
  test(`${title} closes that connection, with a log line, and no other`, async (t) => {
    const lines: string[] = [];
    const pair = await openPair(transport, handlers, { log: recordingLog(lines) });
    await attacked(pair, attack);
    t.deepEqual((await pair.near.call("echo", { text: "fine" })).reply, { text: "fine" });
    // A frame above the limit is refused by the WebSocket layer itself.
    if (title !== "a frame above the limit") t.regex(lines.join("\n"), /breaks the protocol.*attacker/);
    await pair.close();
  });
}

test("a client of an unknown protocol version is told which ones are spoken", async (t) => {
  const lines: string[] = [];
  const pair = await openPair(transport, handlers, { log: recordingLog(lines) });
  const { host, port } = pair.listener.address;
  const socket = new WebSocket(`ws://${host}:${String(port)}/`);
  const messages: Buffer[] = [];
  await new Promise<void>((resolve) => {
    socket.on("open", () => {
      const hello = { hello: { role: "client", id: "old", versions: [9_999] }, nonce: Buffer.alloc(16) };
      socket.send(encodeFrame(frameKinds.hello, 0, { message: hello }));
    });
    socket.on("message", (message: Buffer) => messages.push(message));
    socket.on("close", () => {
      resolve();
    });
  });
  const frame = decodeFrame(messages[0] ?? Buffer.alloc(0));
  t.is(frame.kind, frameKinds.error);
  t.regex(JSON.stringify(frame.message), /9999 are not spoken here/);
  t.regex(lines.join("\n"), /refused a connection/);
  await pair.close();
});

test("random bytes instead of a handshake are refused", async (t) => {
  const pair = await openPair(transport, handlers);
  for (let i = 0; i < 20; i++) {
    const connection = await transport.connect(pair.listener.address);
    const closed = new Promise<string>((resolve) => {
      connection.onClose = resolve;
    });
    connection.send([systemRandom.bytes(1 + i * 40)]);
    t.is(typeof (await closed), "string");
  }
  t.true(pair.near.isOpen);
  await pair.close();
});

test("who does not know the secret gets in on neither side", async (t) => {
  const right = createAuthenticator("correct horse");
  const wrong = createAuthenticator("wrong horse");
  const good = await openPair(transport, handlers, { nearSecret: right, farSecret: right });
  t.deepEqual((await good.near.call("echo", { text: "in" })).reply, { text: "in" });
  await good.close();
  await t.throwsAsync(openPair(transport, handlers, { nearSecret: wrong, farSecret: right }), { message: /EPERM/ });
  await t.throwsAsync(openPair(transport, handlers, { farSecret: right }), { message: /EPERM/ });
  await t.throwsAsync(openPair(transport, handlers, { nearSecret: right }), { message: /EPERM/ });
});

test("messages right behind the handshake are not lost", async (t) => {
  const pair = await openPair(transport, handlers, {
    near: { ...handlers, echo: ({ text }) => ({ text: `near ${text}` }) },
  });
  const far = await pair.far;
  t.deepEqual((await far.call("echo", { text: "early" })).reply, { text: "near early" });
  await pair.close();
});

test("nothing listening gives ECONNREFUSED, a used port EADDRINUSE", async (t) => {
  const pair = await openPair(transport, handlers);
  await t.throwsAsync(
    transport.listen(pair.listener.address, () => undefined),
    { message: /EADDRINUSE/ },
  );
  const { address } = pair.listener;
  await pair.close();
  await t.throwsAsync(transport.connect(address), { message: /ECONNREFUSED/ });
});

test("a frame decodes to what was encoded, and truncated ones never decode to something else", (t) => {
  const frame = encodeFrame(frameKinds.request, 7, { message: ["echo", { text: "x", number: 5n }], payloadBytes: 3 });
  const whole = Buffer.concat([frame, Buffer.from("abc")]);
  const decoded = decodeFrame(whole);
  t.deepEqual(decoded.message, ["echo", { text: "x", number: 5n }]);
  t.is(decoded.payload.toString(), "abc");
  for (let length = 0; length < frame.length; length++) t.throws(() => decodeFrame(whole.subarray(0, length)));
  t.throws(() => decodeFrame(Buffer.concat([whole, Buffer.from("d")])));
  t.is(new Packr().pack(1).length, 1);
  t.is(table.echo.request({ text: "t" }).text, "t");
});
