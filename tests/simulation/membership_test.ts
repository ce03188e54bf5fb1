/**
 * The state machine of the daemon under seeded storms.
 *
 * VIPFARM_SIM_STEPS=10000000 makes the run longer; VIPFARM_SIM_SEED=N starts at (and so replays) seed N.
 */

import assert from "node:assert/strict";
import type { Member } from "../../src/membership/member.ts";
import { listsUs } from "../../src/membership/judgement.ts";
import { Membership } from "../../src/membership/membership.ts";
import { MembershipState } from "../../src/membership/state.ts";
import type { Heartbeat } from "../../src/wire/heartbeat.ts";
import { storm } from "./storm.ts";
import { Violation } from "./world.ts";

const STEPS = Number(Deno.env.get("VIPFARM_SIM_STEPS") ?? 400_000);
const FIRST_SEED = Number(Deno.env.get("VIPFARM_SIM_SEED") ?? 1);
const EPISODES = 4;

Deno.test("no bucket has two owners in contact, every bucket has one soon after the faults, views agree", () => {
  let steps = 0, deaths = 0, silences = 0, rejoins = 0, settleMsMax = 0, seed = FIRST_SEED;
  for (; steps < STEPS; seed++) {
    try {
      const result = storm({ seed, episodes: EPISODES });
      steps += result.steps;
      deaths += result.deaths;
      silences += result.silences;
      rejoins += result.rejoins;
      settleMsMax = Math.max(settleMsMax, result.settleMsMax);
    } catch (error) {
      if (error instanceof Violation) console.error(`seed ${seed}:\n${error.transcript}`);
      throw error;
    }
  }
  console.log(
    `${
      seed - FIRST_SEED
    } seeds, ${steps} steps: ${deaths} deaths, ${silences} silences, ${rejoins} rejoins; ` +
      `of one mind ${settleMsMax} ms after the faults at most`,
  );
  assert.ok(deaths > 0 && silences > 0 && rejoins > 0, "the storms must exercise every rule");
});

Deno.test("the same seed gives the same storm", () => {
  assert.deepEqual(storm({ seed: 7, episodes: 2 }), storm({ seed: 7, episodes: 2 }));
});

/** Rule 1 off: claims what it gains without waiting for anybody to acknowledge. */
class Impatient extends Membership {
  protected override unlisted(): Member[] {
    return [];
  }
  protected override knowsUs(member: Member): boolean {
    return listsUs(member, this.own);
  }
}

/** Rule 2 off: goes on although somebody does not list it. */
class Deaf extends Membership {
  protected override silencer(): undefined {
    return undefined;
  }
}

/** Rule 3 off: replaces as soon as it suspects. */
class Hasty extends Membership {
  protected override replaceIntervals(): number {
    return 3;
  }
}

/** Rule 4 off: claims for ever, whether it runs or not. */
class Sleepwalker extends Membership {
  protected override leaseIntervals(): number {
    return 1e9;
  }
}

/** Rule 5 off where a heartbeat has gone out: it renews the lease, whatever became of that meanwhile. */
class Stubborn extends Membership {
  override sent(ok: boolean, startedMs: number): void {
    super.sent(ok, startedMs, -Infinity);
  }
}

/** The same, and it goes out as decided on before the node was stopped. */
class Sleepy extends Stubborn {
  override heartbeat(nowMs: number, wallMs: number): Heartbeat {
    return MembershipState.prototype.heartbeat.call(this, nowMs, wallMs);
  }
}

for (
  const [rule, Broken] of [
    ["acquire after acknowledgement", Impatient],
    ["listed or silent", Deaf],
    ["suspect, then replace", Hasty],
    ["lease", Sleepwalker],
    ["look at the clock again when sent", Stubborn],
    ["look at the clock again", Sleepy],
  ] as const
) {
  Deno.test(`without the rule "${rule}" claims are wrong, and the simulator sees it`, () => {
    assert.throws(() => {
      for (let seed = 1; seed <= 500; seed++) {
        storm({ seed, episodes: EPISODES, make: (options) => new Broken(options) });
      }
    }, (error: unknown) => error instanceof Violation && /claim one bucket|claims again/.test(error.message));
  });
}
