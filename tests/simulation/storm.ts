/**
 * Random faults on a random farm, then fair weather: the farm must keep its rule all the time and come to one view,
 * with every bucket claimed, soon after the faults end. Everything follows from the seed.
 */

import { asLastResort } from "../../src/core/weight.ts";
import { Random } from "./network.ts";
import type { SimulatedNode } from "./node.ts";
import { BUCKETS_WATCHED, type MakeMembership, World } from "./world.ts";

/**
 * After the last fault everything is settled within this: a one-way cut ends in silence (3), which turns into
 * joining anew (4); listening lasts up to 4 × 3, announcing 2; and somebody who waits for a dead member adds 5.
 * Two such rounds may follow each other when the first ends in the last moment of the faults.
 */
export const SETTLE_INTERVALS = 50;

/** What a storm found. */
export interface StormResult {
  readonly steps: number;
  readonly deaths: number;
  readonly silences: number;
  readonly rejoins: number;
  /** Longest time that a bucket was unclaimed after the faults had ended. */
  readonly settleMsMax: number;
}

export interface StormOptions {
  readonly seed: number;
  readonly episodes: number;
  readonly make?: MakeMembership;
}

/** Runs one farm through some episodes of faults; throws a Violation if it breaks its rule. */
export function storm(options: StormOptions): StormResult {
  const world = new World({ seed: options.seed, make: options.make, wakeLateMsMax: 2 });
  const { random, intervalMs } = world;
  const names = ["n1", "n2", "n3", "n4", "n5"].slice(0, random.integer(2, 5));
  for (const name of names) {
    const node = world.addNode(name);
    node.clockRate = random.between(0.995, 1.005); // crystals differ by 0.01%; be generous
    node.clockStartMs = random.between(0, 1e6);
    node.wallOffsetMs = random.between(-3000, 3000);
    world.start(node);
    world.run(random.between(0, 3 * intervalMs));
  }
  world.run(10 * intervalMs);
  let settleMsMax = 0;
  const totals = { deaths: 0, silences: 0, rejoins: 0 };
  for (let episode = 0; episode < options.episodes; episode++) {
    trouble(world, random);
    calm(world);
    const fromMs = world.nowMs;
    settle(world);
    settleMsMax = Math.max(settleMsMax, world.nowMs - fromMs);
    fairWeather(world, random);
    for (const node of world.nodes) {
      totals.deaths += node.membership!.counters.deaths;
      totals.silences += node.membership!.counters.silences;
      totals.rejoins += node.membership!.counters.rejoins;
    }
  }
  return { steps: world.steps, ...totals, settleMsMax };
}

/** An episode of faults. */
function trouble(world: World, random: Random): void {
  const { intervalMs, weather } = world;
  world.note("", "-- trouble --");
  weather.loss = random.pick([0, 0, 0.02, 0.1, 0.3]);
  weather.duplication = random.pick([0, 0.1]);
  weather.delayMsMax = random.pick([0.3, 2, 20]);
  weather.longDelays = random.pick([0, 0, 0.05, 0.3]);
  weather.longDelayMs = random.pick([50, 150, 400]);
  const endMs = world.nowMs + random.between(10, 60) * intervalMs;
  while (world.nowMs < endMs) {
    fault(world, random);
    world.run(random.between(0, 6) * intervalMs * random.next());
  }
}

function fault(world: World, random: Random): void {
  const { intervalMs, nodes } = world;
  const node = random.pick(nodes);
  const other = random.pick(nodes.filter((candidate) => candidate !== node));
  const later = (intervals: number, run: () => void) =>
    world.agenda.at(world.nowMs + random.next() * intervals * intervalMs, run);
  switch (random.integer(0, 13)) {
    case 0:
      world.stall(node, random.between(0.1, 12) * intervalMs);
      break;
    case 1:
      world.crash(node);
      later(20, () => world.start(node));
      break;
    case 2:
      world.crash(node);
      world.start(node);
      break;
    case 3:
    case 4:
      world.note("", `${node.name} is no longer heard by ${other.name}`);
      world.cut(node, other);
      later(20, () => world.cuts.delete(`${node.name}>${other.name}`));
      break;
    case 5: {
      const side = nodes.filter(() => random.chance(0.5));
      world.note("", `cut: ${side.map((member) => member.name).join(" ") || "nobody"} | the others`);
      for (const a of side) {
        for (const b of nodes) {
          if (!side.includes(b)) {
            world.cutBothWays(a, b);
          }
        }
      }
      later(15, () => {
        world.note("", "all cuts end");
        world.heal();
      });
      break;
    }
    case 6:
    case 7:
      world.settings(node, [1, random.pick([0, 1, 50, 100, 300, asLastResort(100)])], random.chance(0.2));
      break;
    case 8:
      world.settings(node, [1, 100], random.chance(0.5));
      world.settings(other, [1, 100], random.chance(0.5));
      break;
    case 9:
      world.leave(node);
      later(15, () => world.start(node));
      break;
    case 10:
      world.note(node.name, "cannot send");
      node.sendsFail = true;
      later(8, () => node.sendsFail = false);
      break;
    case 11:
      world.note(node.name, "its wall clock jumps");
      node.wallOffsetMs += random.between(-4000, 4000);
      break;
    case 12:
      node.stopBeforeSendMs = random.between(0.1, 12) * intervalMs;
      break;
    case 13:
      node.stopWithinSendMs = random.between(0.1, 12) * intervalMs;
      break;
  }
}

/** Ends every fault: each node runs, is heard, and wants its full weight. */
function calm(world: World): void {
  world.note("", "-- calm --");
  world.heal();
  Object.assign(world.weather, { loss: 0, duplication: 0, delayMsMax: 0.3, longDelays: 0 });
  for (const node of world.nodes) {
    node.sendsFail = false;
    node.stopBeforeSendMs = node.stopWithinSendMs = undefined;
    world.wake(node);
    world.settings(node, [1, 100], false);
    world.start(node);
  }
}

/** Runs until the farm is of one mind. */
function settle(world: World): void {
  const endMs = world.nowMs + SETTLE_INTERVALS * world.intervalMs;
  for (;;) {
    for (const node of world.nodes) world.start(node); // who was leaving comes back
    const problem = disagreement(world);
    if (problem === undefined) return;
    if (world.nowMs >= endMs) world.fail(`${SETTLE_INTERVALS} intervals after the last fault: ${problem}`);
    world.run(world.intervalMs / 4);
  }
}

/** In fair weather nothing may be suspected, silenced or left unclaimed, and planned changes leave no gap. */
function fairWeather(world: World, random: Random): void {
  world.run(2 * world.intervalMs); // everybody has been heard since the last cut ended
  const before = world.nodes.map((node) => troubles(node));
  world.watchGaps();
  world.settings(random.pick(world.nodes), [1, 200], false);
  world.settings(random.pick(world.nodes), [1, 50], false);
  world.run(10 * world.intervalMs);
  for (const node of world.nodes) world.settings(node, [1, 100], false);
  world.run(10 * world.intervalMs);
  world.nodes.forEach((node, i) => {
    if (troubles(node) !== before[i]) world.fail(`${node.name} suspected somebody without cause`);
  });
  if (world.longestGapMs > world.intervalMs / 5) {
    world.fail(`a planned change left a bucket unclaimed for ${world.longestGapMs.toFixed(1)} ms`);
  }
}

function troubles(node: SimulatedNode): string {
  const { suspicions, deaths, silences, rejoins } = node.membership!.counters;
  return `${suspicions} ${deaths} ${silences} ${rejoins}`;
}

/** What speaks against the farm being of one mind. */
function disagreement(world: World): string | undefined {
  for (const node of world.nodes) {
    if (node.membership === undefined) return `${node.name} does not run`;
    const view = node.membership.view(node.localMs(world.nowMs)).filter((line) => line.state !== "dead");
    const here = world.nodes.map((other) => `${other.name} up ${other.weights}`).sort().join("; ");
    const seen = view.map((line) => `${line.name} ${line.state} ${line.weights}`).join("; ");
    if (seen !== here) {
      return `${node.name} sees ${
        view.map((line) => `${line.name} ${line.state} (${line.reason})`).join("; ")
      }`;
    }
  }
  const claimants = world.claimants();
  for (let bucket = 0; bucket < BUCKETS_WATCHED; bucket++) {
    if (claimants[bucket].length !== 1) {
      return `bucket ${bucket} is claimed by ${claimants[bucket].length} nodes`;
    }
  }
  return undefined;
}
