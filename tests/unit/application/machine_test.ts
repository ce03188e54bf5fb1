/**
 * Stories of an application as transcripts that people can read: transcripts/<story>.txt holds what must happen, line by
 * line. VIPFARM_UPDATE_TRANSCRIPTS=1 writes them anew; read the difference before you keep it.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { newMachine, nextTickMs, step } from "../../../src/application/machine.ts";
import { fromSaved, readSaved, toSave } from "../../../src/application/saved.ts";
import { runs, TRANSITIONS } from "../../../src/application/states.ts";
import { type Input, type Machine } from "../../../src/application/types.ts";
import { APPLICATION, Story } from "./story.ts";

const UPDATE = Deno.env.get("VIPFARM_UPDATE_TRANSCRIPTS") !== undefined;

function story(name: string, title: string, tell: (story: Story) => void, surroundings = APPLICATION): void {
  Deno.test(title, () => {
    const url = new URL(`./transcripts/${name}.txt`, import.meta.url);
    const told = new Story(surroundings);
    tell(told);
    const text = `${title}\n\n${told.text}\n`;
    if (UPDATE) Deno.writeTextFileSync(url, text);
    assert.equal(text, Deno.readTextFileSync(url));
  });
}

const up = (story: Story) => story.take({ kind: "boot" }).scripts().check("none");

story("life", "A node's life by orders: start, drain, stop, restart, leave", (story) => {
  up(story).after(1_000).check("leave").after(1_000).check("none");
  story.order("drain").order("drain").order("resume").order("resume");
  story.order("stop").after(100).order("stop").wait().order("stop").scripts().order("stop");
  story.order("start").order("start").scripts().order("start");
  story.order("restart").order("restart").wait().scripts().scripts();
  story.take({ kind: "leave" }).scripts();
});

story("maintenance", "The maintenance file drains while it is there, whatever is ordered", (story) => {
  up(story).take({ kind: "maintenance", present: true }).order("resume").order("drain").order("resume");
  story.take({ kind: "maintenance", present: false });
});

story(
  "asked_meanwhile",
  "What checks ask for while the node is drained is done as soon as nothing drains it",
  (story) => {
    up(story).take({ kind: "maintenance", present: true }).check("leave", "restart");
    story.take({ kind: "maintenance", present: false }).scripts().scripts().check("none");
    story.order("stop").check("leave", "restart").order("start").scripts().scripts().check("none");
    story.surroundings = { node: "n1", drainMs: 250 };
    story.take({ kind: "configured" }).check("leave", "stop");
    story.surroundings = APPLICATION;
    story.take({ kind: "configured" }).scripts();
  },
);

story(
  "recovery",
  "What cannot start is restarted with growing pauses, then given up with its own words",
  (story) => {
    const problem = "start exited with status 1: bad configuration";
    up(story).after(1_000).check("leave", "restart").scripts("stop exited with status 1").scripts(problem);
    story.wait().scripts(problem).wait().scripts(problem);
    story.after(60_000).check("leave", "restart").order("resume").scripts().check("none");
  },
);

story("window", "Restarts count for as long as the window, and no longer", (story) => {
  up(story);
  for (let round = 0; round < 4; round++) {
    story.after(300_000).check("leave", "restart").scripts();
    if (story.machine.job?.kind === "pause") story.wait();
    story.scripts().check("none");
  }
});

story(
  "restart_script",
  "With a restart script a failed application is not stopped first, but when it is given up",
  (story) => {
    up(story).check("leave", "restart").scripts().check("leave", "restart").scripts(
      "stop did not end within 30 s",
    );
    story.order("start").scripts().check("none").order("restart").take({ kind: "drained" }).scripts();
  },
  {
    ...APPLICATION,
    application: {
      recovery: { restarts: 1, withinMs: 60_000, backoffMs: 1_000, backoffMsMax: 1_000 },
      hasRestart: true,
    },
  },
);

story(
  "hands_off",
  "Whoever drains a node may work on its application: checks restart and stop nothing",
  (story) => {
    up(story).order("drain").check("leave", "restart").check("leave", "stop").order("resume").scripts();
  },
);

story("stop_fails", "What cannot be stopped is failed, not stopped", (story) => {
  up(story).order("stop").take({ kind: "drained" }).scripts(
    "stop exited with status 1; forced: stop exited with status 1",
  );
  story.order("stop").scripts();
});

story("changed_mind", "An order takes the place of the one before", (story) => {
  story.take({ kind: "boot" }).order("stop").scripts().order("start").order("restart").scripts();
  story.order("stop").order("start").order("stop").take({ kind: "drained" }).order("start").scripts()
    .scripts();
});

story("adopted", "The next process of the node goes on where the one before was", (story) => {
  story.take({ kind: "boot" }).take({ kind: "adopt" }).scripts().take({ kind: "adopt" });
  story.order("restart").take({ kind: "adopt" }).take({ kind: "drained" }).take({ kind: "adopt" }).scripts()
    .scripts();
});

story("no_application", "Without an application the node serves what its checks allow", (story) => {
  story.take({ kind: "boot" }).check("leave").check("leave", "restart").order("stop").order("drain").order(
    "resume",
  );
  story.check("none").take({ kind: "leave" });
}, { node: "n1", drainMs: 250 });

story("unconfigured", "An application that is no longer configured is let go as it is", (story) => {
  up(story).order("stop").take({ kind: "drained" });
  story.surroundings = { node: "n1", drainMs: 250 };
  story.take({ kind: "configured" }).scripts("was called off").check("leave").check("none");
  story.surroundings = APPLICATION;
  story.take({ kind: "configured" }).check("leave", "restart").scripts().scripts();
  story.check("none").order("restart");
  story.surroundings = { node: "n1", drainMs: 250 };
  story.take({ kind: "configured" }).take({ kind: "drained" });
});

const demand = fc.constantFrom("none", "leave", "fail");
const input: fc.Arbitrary<Input> = fc.oneof(
  fc.record({
    kind: fc.constant("order"),
    verb: fc.constantFrom("start", "stop", "restart", "drain", "resume"),
  }),
  fc.record({ kind: fc.constant("maintenance"), present: fc.boolean() }),
  fc.record({
    kind: fc.constant("health"),
    services: fc.record({ http: fc.record({ demand, lastResort: fc.boolean(), reason: fc.constant("x") }) }),
    application: fc.record({ demand: fc.constantFrom("none", "restart", "stop"), reason: fc.constant("y") }),
  }),
  fc.record({
    kind: fc.constant("scripts"),
    id: fc.integer({ min: 0, max: 20 }),
    problem: fc.option(fc.constant("z"), { nil: undefined }),
  }),
  fc.constant({ kind: "scripts", id: -1 }),
  fc.constantFrom({ kind: "drained" }, { kind: "configured" }, { kind: "leave" }, { kind: "tick" }, {
    kind: "adopt",
  }),
) as fc.Arbitrary<Input>;

Deno.test("whatever comes in: only ways of the table are gone, and something is always waited for", () => {
  const walk = fc.array(
    fc.record({ input, afterMs: fc.integer({ min: 0, max: 5_000 }), application: fc.boolean() }),
    {
      maxLength: 80,
    },
  );
  fc.assert(fc.property(walk, (steps) => {
    let nowMs = 0;
    let machine = step(newMachine(0), APPLICATION, 0, { kind: "boot" }).machine;
    for (const { input, afterMs, application } of steps) {
      nowMs += afterMs;
      // The result of the scripts that were started last comes as often as any other.
      const given = input.kind === "scripts" && input.id < 0 ? { ...input, id: machine.scriptsRun } : input;
      const around = application ? APPLICATION : { node: "n1", drainMs: 0 };
      machine = step(machine, around, nowMs, { kind: "configured" }).machine;
      let { state } = machine;
      const taken = step(machine, around, nowMs, given);
      machine = taken.machine;
      for (const effect of taken.effects) {
        if (effect.kind !== "state") continue;
        assert.equal(effect.from, state);
        assert.ok(TRANSITIONS[effect.from].includes(effect.to));
        state = effect.to;
      }
      if (given.kind === "order") assert.ok(taken.answer && taken.answer.text.length <= 64);
      holds(machine);
      if (application) heeds(machine);
      assert.deepEqual(toSave(fromSaved(toSave(machine))), toSave(machine));
    }
  }));
});

/** A state that goes on by itself has a job, and only such a state. */
function holds(machine: Machine): void {
  const { state, job } = machine;
  if (state === "starting") assert.ok(job?.kind === "scripts" && job.run !== "stop" || job?.kind === "pause");
  else if (state === "stopping") assert.ok(job?.kind === "scripts" && job.run === "stop");
  else if (state === "stopped" || state === "failed") assert.equal(job, undefined);
  else assert.ok(runs(state) && (job === undefined || job.kind === "drain" && state === "draining"));
  assert.equal(nextTickMs(machine) !== undefined, job?.kind === "drain" || job?.kind === "pause");
}

/** Nothing that checks ask for is left undone where it could be done. */
function heeds({ state, job, drained, maintenance, demand }: Machine): void {
  if (runs(state) && job === undefined && !drained && !maintenance) assert.equal(demand.demand, "none");
}

Deno.test("what is no saved machine is none", () => {
  const saved = { supervisor: 1, handed: false, boot: "b", machine: toSave(newMachine(0)) };
  assert.deepEqual(readSaved(JSON.parse(JSON.stringify(saved))), saved);
  for (const wrong of [null, 7, {}, { ...saved, machine: { ...saved.machine, state: "happy" } }]) {
    assert.equal(readSaved(wrong), undefined);
  }
});
