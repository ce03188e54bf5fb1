/** Stories of cuts: between two nodes, in one direction or both, and through the farm. */

import assert from "node:assert/strict";
import type { SimulatedNode } from "../simulation/node.ts";
import type { World } from "../simulation/world.ts";
import { farm, shares, states, type Story, tellStory } from "./story.ts";

function story(name: string, title: string, tell: Story["tell"], quorum?: Story["quorum"]): void {
  Deno.test(`${name}: ${title}`, () => {
    const { told, written } = tellStory({ name, title, tell, quorum });
    assert.equal(told, written);
  });
}

const THREE = ["n1", "n2", "n3"];

/** n1 alone on one side of a full cut, and the others on the other side. */
function cutOff(world: World, [n1, ...others]: SimulatedNode[]): void {
  world.note("", `cut: n1 | ${others.map(({ name }) => name).join(" ")}`);
  for (const other of others) world.cutBothWays(n1, other);
}

/** Everybody hears everybody again; after a while, who has what. */
function cutEnds(world: World, whileMs: number): void {
  world.note("", "the cut ends");
  world.heal();
  world.run(whileMs);
  shares(world);
}

story(
  "one_way_cut",
  "n1 is not heard by n2, but hears it: n1 stops, and joins when it is heard again.",
  (world) => {
    const [n1, n2] = farm(world, "n1", "n2", "n3");
    world.note("", "what n1 sends does not reach n2");
    world.cut(n1, n2);
    world.run(450);
    shares(world);
    states(world, n1);
    world.run(1550);
    shares(world);
    states(world, n1);
    cutEnds(world, 1000);
  },
);

story(
  "unheard_pair",
  "n1 and n3 do not hear each other, n2 hears both: nobody is replaced, until one has something to say that the other misses.",
  (world) => {
    const [n1, , n3] = farm(world, "n1", "n2", "n3");
    world.note("", "n1 and n3 do not hear each other");
    world.cutBothWays(n1, n3);
    world.run(2000);
    shares(world);
    states(world, n1);
    world.settings(n3, [1, 50], false);
    world.run(2000);
    shares(world);
    states(world, n3);
    cutEnds(world, 1500);
  },
);

story(
  "unheard_replaced",
  "n1 and n3 do not hear each other; n2 misses n3 for so long that both replace it: though n2 hears it again, it joins anew.",
  (world) => {
    const [n1, n2, n3] = farm(world, "n1", "n2", "n3");
    world.strict = true;
    world.note("", "n1 and n3 do not hear each other");
    world.cutBothWays(n1, n3);
    world.run(2000);
    world.note("", "what n3 sends does not reach n2");
    world.cut(n3, n2);
    world.run(550);
    world.note("", "it does again");
    world.cuts.delete("n3>n2");
    world.run(1500);
    shares(world);
    states(world, n3);
    cutEnds(world, 1500);
  },
);

story(
  "healed_in_part",
  "n1 was alone, then n2 hears it again, and n3 does not: of the two that only n2 hears, the larger name steps back.",
  (world) => {
    const [n1, n2, n3] = farm(world, "n1", "n2", "n3");
    cutOff(world, [n1, n2, n3]);
    world.run(1000);
    world.note("", "n1 and n2 hear each other again");
    world.heal();
    world.cutBothWays(n1, n3);
    world.run(1000);
    shares(world);
    states(world, n3);
    cutEnds(world, 1500);
  },
);

story(
  "unheard_crash",
  "n1 and n3 do not hear each other; n1's program crashes, and n3 hears of the hold from n2 as soon as of the end.",
  (world) => {
    const [n1, n2, n3] = farm(world, "n1", "n2", "n3");
    const held = () => n3.membership!.retainedByOthers(1) !== undefined;
    world.cutBothWays(n1, n3);
    world.run(2000);
    world.crash(n1);
    const { incarnation } = n1.lastSent!;
    const goodbye = { ...n1.lastSent!, incarnation: incarnation + 1, sequence: 1, state: "left" as const };
    world.inject(n2, { ...goodbye, holdMs: 5000 });
    world.run(50);
    shares(world);
    world.note("n3", `takes buckets for contested: ${held() ? "yes" : "no"}`);
  },
);

story(
  "joiner_cut_off",
  "n3 is cut off from n1 before it is in, then n1 has to join anew: they do not wait for each other.",
  (world) => {
    const [n1, n2] = farm(world, "n1", "n2");
    world.settings(n2, [1, 100], true);
    const n3 = world.addNode("n3");
    world.start(n3);
    world.run(150);
    world.note("", "n1 and n3 do not hear each other");
    world.cutBothWays(n1, n3);
    world.run(2000);
    world.stall(n1, 450);
    world.run(3000);
    shares(world);
    states(world, n1);
    states(world, n3);
  },
);

story(
  "healed_one_way",
  "n1 was alone, then n2 hears it again, and n1 hears nobody: n2 is out, and nobody else.",
  (world) => {
    const [n1, n2, n3, n4] = farm(world, "n1", "n2", "n3", "n4");
    cutOff(world, [n1, n2, n3, n4]);
    world.run(1000);
    world.note("", "n2 hears n1 again");
    world.cuts.delete("n1>n2");
    world.run(5000);
    shares(world);
    states(world, n3);
  },
);

story(
  "recording_for_one",
  "An attacker plays a recording of a day ago to one node of a farm that knew its sender: no other steps back for it.",
  (world) => {
    const [n1] = farm(world, "n1");
    const recorded = Array.from({ length: 10 }, () => {
      world.run(100);
      return { ...n1.lastSent!, wallClockMs: n1.lastSent!.wallClockMs - 86_400_000 };
    });
    world.crash(n1);
    const [n2, , n4] = ["n2", "n3", "n4"].map((name) => world.addNode(name));
    for (const node of world.nodes) if (node !== n1) world.start(node);
    world.run(1000);
    for (const message of recorded) {
      world.inject(n2, message);
      world.run(100);
    }
    shares(world);
    states(world, n2);
    states(world, n4);
  },
);

story(
  "partition",
  "The network falls in two: each side serves, and at the end of the cut one view is found at once.",
  (world) => {
    cutOff(world, farm(world, "n1", "n2", "n3"));
    world.run(1000);
    shares(world);
    cutEnds(world, 300);
  },
);

story(
  "quorum_majority",
  "With `quorum: majority`, a full cut: the side of one stops before the side of two takes over.",
  (world) => {
    const nodes = farm(world, "n1", "n2", "n3");
    cutOff(world, nodes);
    world.run(450);
    shares(world);
    states(world, nodes[0]);
    world.run(1000);
    shares(world);
    states(world, nodes[0]);
    cutEnds(world, 1000);
  },
  { kind: "majority", expected: THREE },
);

story(
  "quorum_witness",
  "With a witness that only n1 reaches, a full cut of two nodes: n1 goes on, n2 stops.",
  (world) => {
    world.seeWitness.add("n1");
    const nodes = farm(world, "n1", "n2");
    cutOff(world, nodes);
    world.run(1000);
    shares(world);
    states(world, nodes[1]);
  },
  { kind: "witness", address: "192.0.2.1", expected: ["n1", "n2"] },
);
