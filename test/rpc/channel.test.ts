import test, { type ExecutionContext } from "ava";
import { FsError } from "../../src/base/errno.ts";
import { limits } from "../../src/base/limits.ts";
import { checksum } from "../../src/base/checksum.ts";
import { WithPayload, type Handlers } from "../../src/rpc/types.ts";
import { openPair, transports, type Table } from "./support.ts";

async function errnoOfFailure(t: ExecutionContext, call: Promise<unknown>): Promise<string> {
  const error: unknown = await t.throwsAsync(call);
  return error instanceof FsError ? error.errno : "not an FsError";
}

interface Seen {
  aborted: number;
  released: number;
}

function handlers(seen: Seen = { aborted: 0, released: 0 }): Handlers<Table, Table> {
  return {
    echo: (request) => request,
    store: (request, { payload }) => {
      const reply = { sum: checksum(payload.bytes) };
      if (payload.bytes.length !== request.bytes) throw new FsError("EINVAL", "length");
      payload.release();
      return reply;
    },
    fetch: async ({ bytes }) => {
      await Promise.resolve();
      return new WithPayload({}, [Buffer.alloc(bytes >> 1, 1), Buffer.alloc(bytes - (bytes >> 1), 2)], () => {
        seen.released += 1;
      });
    },
    fail: ({ errno }) => {
      if (errno === "none") throw new RangeError("a bug");
      throw new FsError("ENOENT", "no such thing");
    },
    wait: (_request, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => {
          seen.aborted += 1;
          reject(signal.reason as Error);
        });
      }),
  };
}

async function until(t: ExecutionContext, what: string, condition: () => boolean): Promise<void> {
  for (let i = 0; i < 2_000 && !condition(); i++) await new Promise((resolve) => setTimeout(resolve, 1));
  t.true(condition(), what);
}

for (const [name, transport] of Object.entries(transports)) {
  test(`${name}: a call returns its reply, with 64-bit numbers and bytes intact`, async (t) => {
    const pair = await openPair(transport(), handlers());
    const request = { text: "\u0000\u00ff ä", big: -(2n ** 63n), raw: Buffer.from([0, 255, 7]) };
    t.deepEqual((await pair.near.call("echo", request)).reply, request);
    await pair.close();
  });

  test(`${name}: both ends may call`, async (t) => {
    const pair = await openPair(transport(), handlers());
    const far = await pair.far;
    t.deepEqual((await far.call("echo", { text: "back" })).reply, { text: "back" });
    t.is(far.remote.id, "near");
    t.is(pair.near.remote.role, "name-server");
    await pair.close();
  });

  test(`${name}: payloads of every size around the frame borders arrive whole, both ways`, async (t) => {
    const seen = { aborted: 0, released: 0 };
    const pair = await openPair(transport(), handlers(seen));
    const frame = limits.payloadFrameBytes;
    const sizes = [1, 32 * 1024, 32 * 1024 + 1, frame - 1, frame, frame + 1, 3 * frame + 5, limits.blockBytesMax];
    for (const size of sizes) {
      const bytes = Buffer.alloc(size, `size ${String(size)}`);
      const pieces = [bytes.subarray(0, size >> 2), bytes.subarray(size >> 2)];
      const { reply } = await pair.near.call("store", { bytes: size }, { payload: pieces });
      t.is(reply.sum, checksum(bytes), String(size));
      const answer = await pair.near.call("fetch", { bytes: size });
      t.is(answer.payload.bytes.length, size);
      t.is(answer.payload.bytes[size - 1], 2);
      answer.payload.release();
    }
    t.is(seen.released, sizes.length);
    await pair.close();
  });

  test(`${name}: many payloads at once do not mix`, async (t) => {
    const pair = await openPair(transport(), handlers());
    await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        const bytes = Buffer.alloc(700_000 + i, i);
        const { reply } = await pair.near.call("store", { bytes: bytes.length }, { payload: [bytes] });
        t.is(reply.sum, checksum(bytes));
      }),
    );
    await pair.close();
  });

  test(`${name}: an error keeps its errno, an unexpected one becomes EIO`, async (t) => {
    const pair = await openPair(transport(), handlers());
    const expected = await t.throwsAsync(pair.near.call("fail", { errno: "ENOENT" }), { instanceOf: FsError });
    t.is(expected.errno, "ENOENT");
    const unexpected = await t.throwsAsync(pair.near.call("fail", { errno: "none" }), { instanceOf: FsError });
    t.is(unexpected.errno, "EIO");
    t.true(pair.near.isOpen);
    await pair.close();
  });

  test(`${name}: aborting a call rejects at once and cancels it at the other end`, async (t) => {
    const seen = { aborted: 0, released: 0 };
    const pair = await openPair(transport(), handlers(seen));
    const controller = new AbortController();
    const call = pair.near.call("wait", {}, { signal: controller.signal, deadlineMillis: Infinity });
    await pair.near.call("echo", { text: "the wait has begun" });
    controller.abort(new FsError("EINTR", "interrupted"));
    t.is(await errnoOfFailure(t, call), "EINTR");
    await until(t, "the handler was aborted", () => seen.aborted === 1);
    await pair.close();
  });

  test(`${name}: a call past its deadline fails with ETIMEDOUT`, async (t) => {
    const pair = await openPair(transport(), handlers());
    t.is(await errnoOfFailure(t, pair.near.call("wait", {}, { deadlineMillis: 30 })), "ETIMEDOUT");
    await pair.close();
  });

  test(`${name}: a broken connection fails the calls on it and aborts what it had asked for`, async (t) => {
    const seen = { aborted: 0, released: 0 };
    const pair = await openPair(transport(), handlers(seen));
    const call = pair.near.call("wait", {});
    await pair.near.call("echo", { text: "" });
    (await pair.far).close("test");
    t.is(await errnoOfFailure(t, call), "ECONNRESET");
    await pair.near.closed;
    t.is(await errnoOfFailure(t, pair.near.call("echo", { text: "" })), "ECONNRESET");
    await until(t, "the handler was aborted", () => seen.aborted === 1);
    await pair.close();
  });

  test(`${name}: callers wait when too many calls are in flight`, async (t) => {
    const pair = await openPair(transport(), handlers());
    const count = limits.callsInFlightMax + 50;
    const controller = new AbortController();
    const stuck = Array.from({ length: limits.callsInFlightMax - 1 }, () =>
      pair.near.call("wait", {}, { signal: controller.signal }).catch((error: unknown) => (error as FsError).errno),
    );
    const rest = Array.from({ length: 51 }, (_, i) => pair.near.call("echo", { text: String(i) }));
    t.is((await Promise.all(rest)).length, 51);
    controller.abort(new FsError("EINTR", "enough"));
    t.true((await Promise.all(stuck)).every((errno) => errno === "EINTR"));
    t.is(stuck.length + rest.length, count);
    await pair.close();
  });
}

test("a message above the limit fails its own call, and the connection goes on", async (t) => {
  const transport = transports["memory"]?.();
  if (transport === undefined) throw new Error("no transport");
  const pair = await openPair(transport, handlers());
  const raw = Buffer.alloc(limits.messageBytesMax + 1);
  t.is(await errnoOfFailure(t, pair.near.call("echo", { text: "", raw })), "E2BIG");
  const inPayload = pair.near.call("echo", { text: "", raw }, { payload: [Buffer.alloc(100_000)] });
  t.is(await errnoOfFailure(t, inPayload), "E2BIG");
  t.deepEqual((await pair.near.call("echo", { text: "fine" })).reply, { text: "fine" });
  await pair.close();
});
