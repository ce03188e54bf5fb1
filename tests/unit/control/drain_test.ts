import assert from "node:assert/strict";
import { boottimeMs } from "../../../ffi/clock.ts";
import { type HeldBuckets } from "../../../src/control/connections.ts";
import { Drain } from "../../../src/control/drain.ts";
import { SharedClaims } from "../../../src/dataplane/shared.ts";

/** A Drain whose looks are awaited one by one; the answers are the test's. */
class Looks {
  readonly drain: Drain;
  readonly lossCounts: number[] = [];
  readonly failures: Error[] = [];
  failure: Error | undefined;
  /** How long a look takes. */
  tookMs = 0;
  count = 0;
  looked = 0;
  #next = Promise.withResolvers<void>();

  constructor() {
    this.drain = new Drain({
      claims: SharedClaims.create(2, 0),
      dataplanes: [],
      connections: () => ({ count: this.count, look: () => this.#look() }),
      prefilter: { settled: () => Promise.resolve() },
      services: 1,
      tell: (lossCount) => {
        this.lossCounts.push(lossCount);
        this.#next.resolve();
      },
      onFailure: (error) => {
        this.failures.push(error);
        this.#next.resolve();
      },
    });
  }

  /** The next look, or a failure of it. */
  async next(): Promise<void> {
    await this.#next.promise;
    this.#next = Promise.withResolvers<void>();
  }

  #look(): HeldBuckets[] {
    if (this.failure !== undefined) throw this.failure;
    this.looked++;
    for (const endMs = performance.now() + this.tookMs; performance.now() < endMs;);
    return [];
  }
}

Deno.test("it is looked again until nothing is retained, however late the answer to a look comes", async () => {
  const looks = new Looks();
  looks.drain.look(1);
  await looks.next();
  await new Promise((later) => setTimeout(later, 300)); // longer than the time between two looks
  looks.drain.retained(2);
  assert.equal(looks.drain.retainedGroups, 2);
  await looks.next();
  looks.drain.look(2); // a further loss
  await looks.next();
  looks.drain.retained(1);
  await looks.next();
  assert.deepEqual(looks.lossCounts, [1, 1, 2, 2], "of the last loss");
  looks.drain.retained(0);
  await new Promise((later) => setTimeout(later, 300));
  assert.deepEqual(looks.lossCounts, [1, 1, 2, 2], "nothing is left to look for");
  looks.drain.close();
});

Deno.test("who waits for the end of connections looks the less often the longer a look takes, and not beyond the deadline", async () => {
  const looks = new Looks();
  looks.count = 1;
  looks.tookMs = 20;
  const startMs = performance.now();
  await looks.drain.connectionsEnded(boottimeMs() + 500);
  assert.ok(performance.now() - startMs >= 500);
  assert.ok(looks.looked >= 2 && looks.looked <= 4, `${looks.looked} looks of 20 ms in 500 ms`);
});

Deno.test("who waits for the end of connections and is called off looks no more", async () => {
  const looks = new Looks();
  looks.count = 1;
  const calledOff = new AbortController();
  const drained = looks.drain.drained(boottimeMs() + 20_000, calledOff.signal);
  while (looks.looked < 2) await new Promise((later) => setTimeout(later, 1));
  calledOff.abort();
  const startMs = performance.now();
  const { looked } = looks;
  await drained;
  assert.equal(looks.looked, looked);
  assert.ok(performance.now() - startMs < 10_000);
});

Deno.test("a kernel that cannot be asked is told as a failure", async () => {
  const looks = new Looks();
  looks.failure = new Error("no memory");
  looks.drain.look(1);
  await looks.next();
  assert.deepEqual(looks.failures, [looks.failure]);
});
