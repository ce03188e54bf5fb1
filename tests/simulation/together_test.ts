import assert from "node:assert/strict";
import { Membership } from "../../src/membership/membership.ts";
import { World } from "./world.ts";

Deno.test("nodes that started at any time send together, once an interval", () => {
  const sends: { name: string; atMs: number }[] = [];
  class Watched extends Membership {
    override heartbeat(nowMs: number, wallMs: number) {
      sends.push({ name: this.name, atMs: world.nowMs });
      return super.heartbeat(nowMs, wallMs);
    }
  }
  const names = ["n1", "n2", "n3", "n4", "n5", "n6"], intervals = 50;
  const world = new World({ seed: 11, wakeLateMsMax: 1, make: (options) => new Watched(options) });
  for (const name of names) {
    const node = world.addNode(name);
    node.clockRate = world.random.between(0.9999, 1.0001);
    world.start(node);
    world.run(world.random.between(0, 3 * world.intervalMs));
  }
  world.run(20 * world.intervalMs);
  sends.length = 0;
  world.run(intervals * world.intervalMs);

  const rounds: { name: string; atMs: number }[][] = [];
  for (const send of sends) {
    const round = rounds.at(-1);
    if (round === undefined || send.atMs - round[0].atMs > 5) rounds.push([send]);
    else round.push(send);
  }
  for (const round of rounds) assert.deepEqual(round.map(({ name }) => name).sort(), names);
  assert.ok(Math.abs(rounds.length - intervals) <= 1, `${rounds.length} rounds in ${intervals} intervals`);
});
