import test from "ava";
import { Foreground } from "../../../src/name-server/repair/foreground.ts";
import { createPace, type Pace } from "../../../src/name-server/repair/pace.ts";
import { SimulatedClock } from "../../support/simulated-clock.ts";

const never = new AbortController().signal;

class Scene {
  readonly clock = new SimulatedClock();
  readonly foreground = new Foreground(this.clock);
  readonly pace: Pace = createPace(this.clock, this.foreground);

  /** Clients wait so long for something to be durable, so many times, one after the other. */
  async waits(count: number, millis: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const wait = this.foreground.timed(this.passed(millis));
      await this.clock.advance(millis);
      await wait;
    }
  }

  /**
   * Milliseconds of the pause after an order of `took` milliseconds, in which clients waited 4 times, `millis` each; the
   * storage node saw `requests` of them.
   */
  async pauseAfterOrder({ took = 100, requests = 1, millis = 0 }): Promise<number> {
    const start = this.clock.monotonicMillis();
    let endedAt = NaN;
    const order = async (): Promise<number> => {
      for (let i = 0; i < 4 && millis > 0; i++) void this.foreground.timed(this.passed(millis));
      await this.passed(took);
      return requests;
    };
    void this.pace.paced(order, never).then(() => {
      endedAt = this.clock.monotonicMillis();
    });
    while (Number.isNaN(endedAt)) await this.clock.advance(1);
    return endedAt - start - took;
  }

  async pausesAfterOrders(count: number, millis: number): Promise<number[]> {
    const pauses: number[] = [];
    for (let i = 0; i < count; i++) pauses.push(await this.pauseAfterOrder({ millis }));
    return pauses;
  }

  private passed(millis: number): Promise<void> {
    return new Promise((resolve) => {
      this.clock.after(millis, resolve);
    });
  }
}

test("while no client does anything there is no pause", async (t) => {
  const scene = new Scene();
  t.is(await scene.pauseAfterOrder({ requests: 0 }), 0);
});

test("the first pause is as long as the order, and never longer than two seconds", async (t) => {
  const scene = new Scene();
  t.is(await scene.pauseAfterOrder({ took: 100 }), 100);
  t.is(await scene.pauseAfterOrder({ took: 10_000 }), 2_000);
});

test("pauses become short while clients do not wait longer than before", async (t) => {
  const scene = new Scene();
  await scene.waits(8, 5);
  await scene.clock.advance(10_000);
  const pauses = await scene.pausesAfterOrders(20, 6);
  t.is(pauses.at(-1), 25);
});

test("pauses become long while clients wait more than twice as long, and short again when that is over", async (t) => {
  const scene = new Scene();
  await scene.waits(8, 5);
  await scene.clock.advance(10_000);
  t.is((await scene.pausesAfterOrders(20, 12)).at(-1), 200);
  t.is((await scene.pausesAfterOrders(40, 5)).at(-1), 25);
});

test("what clients wait comes to rest below twice of what it was", async (t) => {
  const scene = new Scene();
  await scene.waits(8, 10);
  await scene.clock.advance(10_000);
  // Without a pause they would wait three times as long; with a pause of p times the order 1 + 2 / (1 + p).
  let share = 1;
  const ratios: number[] = [];
  for (let i = 0; i < 80; i++) {
    const ratio = 1 + 2 / (1 + share);
    ratios.push(ratio);
    share = (await scene.pauseAfterOrder({ millis: Math.round(10 * ratio) })) / 100;
  }
  t.true(
    ratios.slice(40).every((ratio) => ratio > 1.3 && ratio < 2),
    ratios.slice(40).join(" "),
  );
});

test("what clients wait in the second after an order does not count as what they wait without", async (t) => {
  const scene = new Scene();
  await scene.waits(8, 5);
  await scene.clock.advance(10_000);
  await scene.pauseAfterOrder({ millis: 50 });
  await scene.waits(8, 50);
  t.is((await scene.pausesAfterOrders(20, 12)).at(-1), 200);
});

test("a new repair begins with the first pause again", async (t) => {
  const scene = new Scene();
  await scene.waits(8, 5);
  await scene.clock.advance(10_000);
  t.is((await scene.pausesAfterOrders(20, 12)).at(-1), 200);
  await scene.clock.advance(60_000);
  t.is(await scene.pauseAfterOrder({}), 100);
});
