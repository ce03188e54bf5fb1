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
    world.note("", "the cut ends");
    world.heal();
    world.run(1000);
    shares(world);
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
    world.note("", "the cut ends");
    world.heal();
    world.run(1500);
    shares(world);
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
    world.note("", "the cut ends");
    world.heal();
    world.run(1500);
    shares(world);
  },
);

story(
  "partition",
  "The network falls in two: each side serves, and at the end of the cut one view is found at once.",
  (world) => {
    cutOff(world, farm(world, "n1", "n2", "n3"));
    world.run(1000);
    shares(world);
    world.note("", "the cut ends");
    world.heal();
    world.run(300);
    shares(world);
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
    world.note("", "the cut ends");
    world.heal();
    world.run(1000);
    shares(world);
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
