/**
 * Full cuts of a farm that asks for a quorum: the same state machine, held to a harder rule. No bucket may ever be
 * claimed by two nodes, not even by two that cannot hear each other.
 */

import assert from "node:assert/strict";
import type { QuorumRule } from "../../src/membership/quorum.ts";
import { Membership } from "../../src/membership/membership.ts";
import { Selfish } from "./selfish.ts";
import type { SimulatedNode } from "./node.ts";
import { BUCKETS_WATCHED, type MakeMembership, Violation, World } from "./world.ts";

const FIRST_SEED = Number(Deno.env.get("VIPFARM_SIM_SEED") ?? 1);
const SEEDS = Math.ceil(Number(Deno.env.get("VIPFARM_SIM_STEPS") ?? 400_000) / 6_500);
const EPISODES = 6;
/** Without a quorum a node has stopped within this of the cut: the lease, and what a wake-up may be late. */
const STOPPED_INTERVALS = 4.1;
/** With one, its side claims everything after this: replacing takes 5, whoever had begun to join before joins anew. */
const SERVED_INTERVALS = 30;

/** Starts a node that sees the witness, and whose clock runs wrong by no more than this part. */
function start(world: World, name: string, drift: number): void {
  const node = world.addNode(name);
  node.clockRate = world.random.between(1 - drift, 1 + drift);
  node.clockStartMs = world.random.between(0, 1e6);
  world.seeWitness.add(name);
  world.start(node);
}

/** Everybody on one side hears nobody on the other; pair after pair, with at most so long between two of them. */
function cut(world: World, side: readonly SimulatedNode[], betweenMsMax = 0): void {
  world.heal();
  world.note("", `cut: ${side.map(({ name }) => name).join(" ") || "nobody"} | the others`);
  const others = world.nodes.filter((node) => !side.includes(node));
  const pairs = side.flatMap((a) => others.map((b) => ({ a, b, order: world.random.next() })));
  for (const { a, b } of pairs.sort((one, other) => one.order - other.order)) {
    world.cutBothWays(a, b);
    world.run(world.random.next() * betweenMsMax);
  }
}

function claimedBy(world: World, nodes: readonly SimulatedNode[]): number {
  return nodes.reduce((union, node) => union | world.claimedNow(node), 0);
}

const ALL = (1 << BUCKETS_WATCHED) - 1;

/** Cuts, pauses, crashes and restarts; `ruleFor` gives the rule, `quorate` says whether a side may serve. */
function storm(
  seed: number,
  ruleFor: (names: readonly string[]) => QuorumRule,
  quorate: (world: World, side: readonly SimulatedNode[]) => boolean,
  make?: MakeMembership,
): number {
  const names = ["n1", "n2", "n3", "n4", "n5"].slice(0, 2 + seed % 4);
  const world = new World({ seed, quorum: ruleFor(names), strict: true, wakeLateMsMax: 2, make });
  const { random, intervalMs } = world;
  for (const name of names) start(world, name, 0.005);
  world.run(12 * intervalMs);
  for (let episode = 0; episode < EPISODES; episode++) {
    const side = world.nodes.filter(() => random.chance(0.5));
    const other = world.nodes.filter((node) => !side.includes(node));
    world.seeWitness.clear();
    for (const node of random.chance(0.5) ? side : other) world.seeWitness.add(node.name);
    cut(world, side, random.pick([0, 1, 3]) * intervalMs);
    for (let faults = random.integer(0, 3); faults > 0; faults--) {
      const node = random.pick(world.nodes);
      if (random.chance(0.5)) world.stall(node, random.between(0.1, 12) * intervalMs);
      else {
        world.crash(node);
        world.start(node);
      }
      world.run(random.between(0, 4) * intervalMs);
    }
    world.run(STOPPED_INTERVALS * intervalMs);
    const serving = [side, other].filter((each) => quorate(world, each));
    assert.ok(serving.length <= 1, "the test's own idea of a quorum is wrong");
    for (const each of [side, other]) {
      if (!serving.includes(each) && claimedBy(world, each) !== 0) {
        world.fail("a side without quorum claims something");
      }
    }
    for (const node of world.nodes) world.wake(node);
    world.run(SERVED_INTERVALS * intervalMs);
    for (const each of serving) {
      if (claimedBy(world, each) !== ALL) world.fail("the side with the quorum does not claim everything");
    }
    world.note("", "the cut ends");
    world.heal();
    for (const { name } of world.nodes) world.seeWitness.add(name);
    world.run((random.chance(0.5) ? 2 : SERVED_INTERVALS) * intervalMs);
  }
  world.run(SERVED_INTERVALS * intervalMs);
  if (claimedBy(world, world.nodes) !== ALL) world.fail("whole again, the farm does not claim everything");
  return world.steps;
}

function storms(
  ruleFor: (names: readonly string[]) => QuorumRule,
  quorate: (world: World, side: readonly SimulatedNode[]) => boolean,
  make?: MakeMembership,
): number {
  let steps = 0;
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
    try {
      steps += storm(seed, ruleFor, quorate, make);
    } catch (error) {
      if (error instanceof Violation && make === undefined) {
        console.error(`seed ${seed}:\n${error.transcript}`);
      }
      throw error;
    }
  }
  return steps;
}

const majority = (expected: readonly string[]): QuorumRule => ({ kind: "majority", expected });
const hasMajority = (world: World, side: readonly SimulatedNode[]) => 2 * side.length > world.nodes.length;
const witness = (expected: readonly string[]): QuorumRule => ({
  kind: "witness",
  address: "192.0.2.1",
  expected,
});
const hasWitness = (world: World, side: readonly SimulatedNode[]) =>
  side.length === world.nodes.length || side.some(({ name }) => world.seeWitness.has(name));

Deno.test("majority: in a full cut no bucket has two owners, and the larger side serves", () => {
  const steps = storms(majority, hasMajority);
  console.log(`${SEEDS} seeds, ${steps} steps`);
});

Deno.test("witness: in a full cut no bucket has two owners, and the side that reaches it serves", () => {
  storms(witness, hasWitness);
});

Deno.test("a witness without expected nodes must answer in any case", () => {
  storms(() => witness([]), (world, side) => side.some(({ name }) => world.seeWitness.has(name)));
});

Deno.test("a cut that comes pair by pair needs the word of those who hear both, and the simulator sees it", () => {
  assert.throws(
    () => storms(majority, hasMajority, (options) => new Selfish(options)),
    (error: unknown) => error instanceof Violation && /claim one bucket/.test(error.message),
  );
});

/** Votes that are counted from when they arrive, not from what they have heard. */
class Gullible extends Membership {
  protected override quorumMs(): number {
    let newest = -Infinity;
    for (const member of this.members.values()) newest = Math.max(newest, member.lastHeardMs);
    return newest + 5 * this.intervalMs;
  }
}

Deno.test("with votes counted from their arrival two nodes claim one bucket, and the simulator sees it", () => {
  assert.throws(
    () => storms(majority, hasMajority, (options) => new Gullible(options)),
    (error: unknown) => error instanceof Violation,
  );
});

Deno.test("without a quorum rule the same cuts make two farms", () => {
  const world = new World({ seed: 1 });
  for (const name of ["n1", "n2", "n3"]) world.start(world.addNode(name));
  world.run(1200);
  cut(world, [world.node("n1")]);
  world.run(1200);
  assert.ok(world.claimants().every((names) => names.length === 2));
});

Deno.test("where the witness answers, a death silences nobody", () => {
  for (let seed = 1; seed <= 200; seed++) {
    const names = ["n1", "n2", "n3"].slice(0, 2 + seed % 2);
    const world = new World({ seed, quorum: witness(names), wakeLateMsMax: 2 });
    const { random, intervalMs } = world;
    world.witnessMs = random.between(0, 1.2) * intervalMs;
    for (const name of names) {
      start(world, name, 0.001);
      world.run(random.between(0, 3 * intervalMs));
    }
    world.run(random.between(30, 32) * intervalMs);
    const [dead, ...alive] = world.nodes;
    const silences = () => alive.map(({ membership }) => membership!.counters.silences);
    const before = silences();
    world.crash(dead);
    world.run(12 * intervalMs);
    assert.equal(claimedBy(world, alive), ALL, `seed ${seed}`);
    assert.deepEqual(silences(), before, `seed ${seed}:\n${world.transcript}`);
  }
});
