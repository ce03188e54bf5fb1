/** When findings become a verdict, told as transcripts: a run in, the memory out. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { type CheckTiming } from "../../../src/config/checks_config.ts";
import { afterRun, begin, beginAnew, type CheckMemory, goOn } from "../../../src/health/damping.ts";

const TIMING: CheckTiming = {
  intervalMs: 1_000,
  timeoutMs: 800,
  rise: 2,
  fall: 2,
  startDelayMs: 0,
  warmUpMs: 200,
};

/**
 * Runs a story: each line is a run with what it found and how long it took; the answer is the verdict, since when, and
 * when the next run begins. Chance is one half throughout.
 */
function transcript(timing: CheckTiming, story: string): string {
  let memory = begin(timing, 0, 0.5, true);
  const lines = [`0 begin -> pending since 0, next ${memory.dueMs}`];
  for (const line of story.trim().split("\n").map((each) => each.trim())) {
    const [word, took] = line.split(" ");
    const startedMs = memory.dueMs;
    if (word === "application") {
      memory = beginAnew(memory, timing, Number(took), 0.5);
      lines.push(
        `${took} application started -> ${memory.state} since ${memory.sinceMs}, next ${memory.dueMs}`,
      );
      continue;
    }
    const nowMs = startedMs + Number(took ?? 1);
    const finding = { good: word === "good", reason: word };
    memory = afterRun(memory, timing, { startedMs, nowMs, finding, chance: 0.5 });
    lines.push(`${startedMs} ${word} -> ${memory.state} since ${memory.sinceMs}, next ${memory.dueMs}`);
  }
  return lines.join("\n");
}

function tells(name: string, timing: Partial<CheckTiming>, story: string, expected: string): void {
  Deno.test(name, () => {
    const trimmed = expected.trim().split("\n").map((line) => line.trim()).join("\n");
    assert.equal(transcript({ ...TIMING, ...timing }, story), trimmed);
  });
}

tells(
  "the first good run makes it up; the second run comes anywhere in the interval, the others keep its pace",
  {},
  `good
   good
   good`,
  `0 begin -> pending since 0, next 100
   100 good -> up since 101, next 600
   600 good -> up since 101, next 1600
   1600 good -> up since 101, next 2600`,
);

tells(
  "a dead server is known an interval and a fifth after its death, and takes two good runs to come back",
  {},
  `good
   good
   refused
   refused
   refused
   good
   good`,
  `0 begin -> pending since 0, next 100
   100 good -> up since 101, next 600
   600 good -> up since 101, next 1600
   1600 refused -> up since 101, next 1800
   1800 refused -> down since 1801, next 2800
   2800 refused -> down since 1801, next 3800
   3800 good -> down since 1801, next 4800
   4800 good -> up since 4801, next 5800`,
);

tells(
  "one failure changes nothing but the time of the next run",
  { fall: 3 },
  `good
   refused
   refused
   good
   refused
   refused
   refused`,
  `0 begin -> pending since 0, next 100
   100 good -> up since 101, next 600
   600 refused -> up since 101, next 800
   800 refused -> up since 101, next 1000
   1000 good -> up since 101, next 2000
   2000 refused -> up since 101, next 2200
   2200 refused -> up since 101, next 2400
   2400 refused -> down since 2401, next 3400`,
);

tells(
  "a hanging server is known after two intervals and a half at most: a run that takes long puts off only itself",
  {},
  `good
   timeout 800
   timeout 800
   timeout 800`,
  `0 begin -> pending since 0, next 100
   100 good -> up since 101, next 600
   600 timeout -> up since 101, next 1400
   1400 timeout -> down since 2200, next 2400
   2400 timeout -> down since 2200, next 3400`,
);

tells(
  "where the kernel knows, one failed run is enough",
  { fall: 1, rise: 1 },
  `good
   gone
   good
   gone`,
  `0 begin -> pending since 0, next 100
   100 good -> up since 101, next 600
   600 gone -> down since 601, next 1600
   1600 good -> up since 1601, next 2600
   2600 gone -> down since 2601, next 3600`,
);

tells(
  "a start of the application gives a check that is down its start delay again, and leaves one that is up alone",
  { startDelayMs: 3_000, fall: 1 },
  `refused
   application 5000
   good
   application 9000`,
  `0 begin -> pending since 0, next 3100
   3100 refused -> down since 3101, next 3600
   5000 application started -> pending since 5000, next 8100
   8100 good -> up since 8101, next 9100
   9000 application started -> up since 8101, next 9100`,
);

Deno.test("a check goes on in the next process: its verdict and weight stay, and a start delay counts from its begin", () => {
  const timing = { ...TIMING, startDelayMs: 3_000 };
  const at = (state: CheckMemory["state"]) => goOn({ state, sinceMs: 5_000, weight: 30 }, timing, 6_000, 0.5);
  for (const [state, dueMs] of [["up", 6_100], ["down", 6_100], ["pending", 8_100]] as const) {
    const memory = at(state);
    assert.deepEqual([memory.state, memory.sinceMs, memory.dueMs, memory.last?.weight], [
      state,
      5_000,
      dueMs,
      30,
    ]);
    assert.equal(memory.holdsBack, state === "pending");
  }
  const failed = { startedMs: 6_100, nowMs: 6_101, finding: { good: false, reason: "refused" }, chance: 0.5 };
  assert.deepEqual(
    (["up", "down"] as const).map((state) => afterRun(at(state), timing, failed).state),
    ["up", "down"],
    "one failure more changes nothing",
  );
});

const runs = fc.array(
  fc.record({
    good: fc.boolean(),
    tookMs: fc.nat(800),
    chance: fc.double({ min: 0, max: 0.999, noNaN: true }),
  }),
  {
    maxLength: 40,
  },
);
const timings = fc.record({ rise: fc.integer({ min: 1, max: 5 }), fall: fc.integer({ min: 1, max: 5 }) });

/** The same, told by looking back over everything that was found. */
function verdictByHistory(found: readonly boolean[], { rise, fall }: { rise: number; fall: number }): string {
  let state = "pending";
  for (let end = 1; end <= found.length; end++) {
    const last = (count: number, good: boolean) =>
      end >= count && found.slice(end - count, end).every((each) => each === good);
    if (last(fall, false)) state = "down";
    else if (state === "pending" && found[end - 1]) state = "up";
    else if (state === "down" && last(rise, true)) state = "up";
  }
  return state;
}

Deno.test("any history gives the verdict that looking back over it gives", () => {
  fc.assert(fc.property(runs, timings, (history, bounds) => {
    const timing = { ...TIMING, ...bounds };
    let memory: CheckMemory = begin(timing, 0, 0, true);
    for (const { good, tookMs, chance } of history) {
      const startedMs = memory.dueMs;
      const nowMs = startedMs + tookMs;
      memory = afterRun(memory, timing, { startedMs, nowMs, finding: { good, reason: "" }, chance });
      // Runs of one check neither overlap nor stop coming.
      assert.ok(memory.dueMs >= nowMs && memory.dueMs <= Math.max(nowMs, startedMs + timing.intervalMs));
    }
    assert.equal(memory.state, verdictByHistory(history.map(({ good }) => good), bounds));
    assert.equal(memory.runs, history.length);
    assert.equal(memory.failures, history.filter(({ good }) => !good).length);
  }));
});

Deno.test("checks that begin together are spread over the interval from their second run on", () => {
  const due = Array.from({ length: 500 }, (_, i) => {
    const chance = (i + 0.5) / 500;
    const first = begin(TIMING, 0, chance, true);
    assert.ok(first.dueMs <= TIMING.warmUpMs);
    const startedMs = first.dueMs;
    return afterRun(first, TIMING, {
      startedMs,
      nowMs: startedMs + 1,
      finding: { good: true, reason: "" },
      chance,
    }).dueMs % TIMING.intervalMs;
  });
  const tenths = Array.from({ length: 10 }, (_, i) => due.filter((ms) => Math.floor(ms / 100) === i).length);
  assert.ok(Math.max(...tenths) < 200, tenths.join(" "));
});
