/**
 * What stories of a farm are told with, as transcripts that people can read: membership/<story>.txt holds what must
 * happen, line by line. VIPFARM_UPDATE_TRANSCRIPTS=1 writes them anew; read the difference before you keep it.
 */

import { readFileSync, writeFileSync } from "node:fs";
import type { QuorumRule } from "../../src/membership/quorum.ts";
import type { SimulatedNode } from "../simulation/node.ts";
import { BUCKETS_WATCHED, World } from "../simulation/world.ts";

const UPDATE = Deno.env.get("VIPFARM_UPDATE_TRANSCRIPTS") !== undefined;

/** A story: what its transcript is called, what it is about, and how it goes. */
export interface Story {
  readonly name: string;
  readonly title: string;
  readonly quorum?: QuorumRule;
  readonly tell: (world: World) => void;
}

/** Tells the story: how it went, and how it has to go. */
export function tellStory({ name, title, quorum, tell }: Story): { told: string; written: string } {
  const world = new World({ seed: 1, quorum });
  Object.assign(world.weather, { delayMsMin: 0.2, delayMsMax: 0.2 });
  tell(world);
  const url = new URL(`./membership/${name}.txt`, import.meta.url);
  const told = `${title}\n\n${world.transcript}\n`;
  if (UPDATE) writeFileSync(url, told);
  return { told, written: readFileSync(url, "utf8") };
}

/** A farm of these nodes that is up. */
export function farm(world: World, ...names: string[]): SimulatedNode[] {
  const nodes = names.map((name) => world.addNode(name));
  for (const node of nodes) {
    world.start(node);
    world.run(7);
  }
  world.run(1000 - world.nowMs);
  return nodes;
}

/** Says who claims how many of the watched buckets. */
export function shares(world: World): void {
  const counts = world.nodes.map((node) =>
    `${node.name} ${world.claimants().filter((names) => names.includes(node.name)).length}`
  );
  world.note("", `buckets claimed: ${counts.join(", ")}`);
}

/** Clients send requests, 10 in each millisecond, until the returned function tells what became of them. */
export function traffic(world: World): () => void {
  const answers = new Map<number, number>();
  let over = false;
  const send = () => {
    if (over) return;
    for (let i = 0; i < 10; i++) {
      const bucket = world.random.integer(0, BUCKETS_WATCHED - 1);
      const count = world.nodes.filter((node) => world.claims(node, bucket)).length;
      answers.set(count, (answers.get(count) ?? 0) + 1);
    }
    world.agenda.at(world.nowMs + 1, send);
  };
  send();
  return () => {
    over = true;
    const count = (nodes: number) => answers.get(nodes) ?? 0;
    const total = [...answers.values()].reduce((a, b) => a + b);
    const more = total - count(0) - count(1);
    world.note(
      "",
      `${total} requests: by one node ${count(1)}, by none ${count(0)}, by more than one ${more}`,
    );
  };
}

export function states(world: World, node: SimulatedNode): void {
  const lines = node.membership!.view(world.nowMs).map((line) =>
    `${line.name} ${line.state} (${line.reason})`
  );
  world.note(node.name, `sees: ${lines.join("; ")}`);
}
