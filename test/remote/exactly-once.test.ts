/** Changes over a network that loses requests and replies, delays, reorders and breaks, at every moment. */
import test from "ava";
import fc from "fast-check";
import { FsError } from "../../src/base/errno.ts";
import { toIno } from "../../src/base/ids.ts";
import { nameFromText } from "../../src/base/name.ts";
import { seededRandom } from "../../src/base/random.ts";
import { connectNameServer } from "../../src/remote/name-server-client.ts";
import { SimulatedClock } from "../support/simulated-clock.ts";
import { clientOptions, FakeNameServer } from "./support/fake-name-server.ts";
import { silence, type FakeCall, type FakePeer } from "./support/fake-peer.ts";

async function run(seed: number, changes: number): Promise<void> {
  const random = seededRandom(seed);
  const clock = new SimulatedClock();
  const server = new FakeNameServer(clock);
  const client = await connectNameServer({ ...clientOptions(server), random });
  const delay = (): Promise<void> =>
    new Promise((resolve) => {
      clock.after(random.below(40), resolve);
    });
  const unreliable = async (call: FakeCall, peer: FakePeer<never>): Promise<unknown> => {
    const fate = random.below(12);
    await delay();
    if (fate === 0) {
      peer.close("before the request arrived");
      return silence;
    }
    // The server works on a request even when the connection over which it came is gone.
    const reply = server.execute(client.session, call);
    await delay();
    if (fate === 1) peer.close("before the reply arrived");
    if (fate === 2) {
      server.refusal = new FsError("ECONNREFUSED", "restarting");
      server.restart();
      clock.after(random.below(3_000), () => {
        server.refusal = undefined;
      });
    }
    return reply;
  };
  server.intercept = (call, peer) => {
    if (call.method === "mkdir") return unreliable(call, peer);
    if (call.method === "openSession" && random.below(8) === 0) peer.close("while resuming");
    return undefined;
  };
  const outcomes: Promise<unknown>[] = [];
  for (let i = 0; i < changes; i++) {
    const abort = random.below(6) === 0 ? new AbortController() : undefined;
    if (abort !== undefined) {
      clock.after(random.below(100), () => {
        abort.abort(new FsError("EINTR", "aborted"));
      });
    }
    const request = { caller: { uid: 0, gid: 0 }, parent: toIno(1), umask: 0, mode: 0o755 };
    const change = client.change(
      "mkdir",
      { ...request, name: nameFromText(`d${String(i)}`) },
      abort === undefined ? undefined : { signal: abort.signal },
    );
    outcomes.push(
      change.catch((error: unknown) => {
        if (error instanceof FsError && error.errno === "EINTR") return undefined;
        throw error;
      }),
    );
    if (random.below(3) === 0) await clock.advance(random.below(50));
  }
  const all = Promise.all(outcomes);
  for (let i = 0; i < 2_000 && server.done.length < changes; i++) await clock.advance(100);
  await clock.advance(30_000);
  const replies = (await all) as ({ number: number } | undefined)[];
  const names = server.done.map(({ request }) => (request as { name: string }).name);
  if (new Set(names).size !== names.length) throw new Error("a change happened twice");
  replies.forEach((reply, i) => {
    const at = names.indexOf(`d${String(i)}`);
    if (reply !== undefined && reply.number !== at + 1) throw new Error(`change ${String(i)} got another one's reply`);
  });
  server.intercept = () => undefined;
  await client.close();
  if (clock.timers > 0) throw new Error("a timer was left behind");
}

test("changes happen exactly once, and get their own replies, whatever the network does", async (t) => {
  await fc.assert(fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 31 }), fc.integer({ min: 1, max: 90 }), run), {
    numRuns: 12,
  });
  t.pass();
});
