/** Open connections while the farm changes as somebody planned: nodes join and leave, drain, resume, change weight. */

import { Lab } from "../../src/lab/lab.ts";
import { startStreamServer, Streams, type StreamState } from "../netns/streams.ts";
import { type Outcome, pick, random, type Story, type StoryRun } from "./story.ts";

const CONNECTIONS = 1_000;
const STREAM_PORT = 8090;
/** Between two writes of one connection: four thousand packets a second over all, as many back. */
const WRITE_EVERY_MS = 250;
const NUMBERS = 64;
const STALL_MS_MAX = 1_000;
/** Beside them, to a node's own address: what these have to wait, the machine is to blame for, and it is told. */
const STRAIGHT_CONNECTIONS = 5;
/** Between two changes: shorter than a join takes, so that changes overlap. */
const PAUSE_MS_MAX = 600;
const START_MS_MAX = 20_000;
/** The one that joins and leaves: it has none of the connections, or leaving would be a choice to cut them. */
const GUEST = "n4";

async function run({ times, seed, progress }: StoryRun): Promise<Outcome> {
  const chance = random(seed);
  await using lab = await Lab.create({
    nodes: 4,
    clients: 1,
    config: { services: [{ name: "stream", protocol: "tcp", ports: [STREAM_PORT] }] },
  });
  for (const { name } of lab.nodes) await startStreamServer(lab, name, STREAM_PORT);
  const hosts = lab.nodes.filter(({ name }) => name !== GUEST);
  await Promise.all(hosts.map(({ name }) => lab.startNode(name)));
  await lab.waitForMembers(hosts.map(({ name }) => name));
  const resets = await lab.capture("c1", "eth0", "tcp[tcpflags] & tcp-rst != 0", 128);
  const open = (address: string, count: number) =>
    new Streams(lab, "c1", { address, port: STREAM_PORT, count, everyMs: WRITE_EVERY_MS, numbers: NUMBERS });
  const streams = open(lab.virtualIps.ipv4[0], CONNECTIONS);
  const straight = open(hosts[0].station.ipv4, STRAIGHT_CONNECTIONS);
  await Promise.all([streams.goOn(), straight.goOn()]);

  const done = new Map<string, number>();
  const draining = new Set<string>();
  const guest = lab.node(GUEST);
  let slowestMs = 0;
  /** Any of the hosts is asked: the order finds its way. */
  const order = async (method: string, name: string, verb: string, body?: unknown) => {
    await pick(hosts, chance).api(method, `/api/v1/nodes/${name}/${verb}`, body);
  };
  const changes: Record<string, () => Promise<void>> = {
    async "join or leave"() {
      if (guest.daemon?.running) return await guest.stopDaemon();
      const { length } = await guest.log();
      await lab.startNode(GUEST, { wait: chance() < 0.5 });
      // When it says something it takes signals; before that SIGTERM would just end it.
      await lab.waitFor(async () => (await guest.log()).length > length, START_MS_MAX, `${GUEST} to start`);
    },
    async "drain, several at once"() {
      // One always takes new flows: to drain the last one is refused, as it should be.
      const names = hosts.map(({ name }) => name).filter((name) => !draining.has(name)).slice(1);
      for (const name of names) draining.add(name);
      await Promise.all(names.map((name) => order("POST", name, "drain")));
    },
    async "resume"() {
      const names = [...draining];
      draining.clear();
      await Promise.all(names.map((name) => order("POST", name, "resume")));
    },
    async "weight"() {
      const { name } = pick(hosts, chance);
      await order("PUT", name, "weight", { weight: 1 + Math.floor(chance() * 200) });
    },
  };
  for (let change = 0; change < times; change++) {
    const what = pick(Object.keys(changes), chance);
    await changes[what]();
    done.set(what, (done.get(what) ?? 0) + 1);
    await new Promise((resolve) => setTimeout(resolve, chance() * PAUSE_MS_MAX));
    if (change % 10 < 9) continue;
    const states = await streams.states();
    slowestMs = Math.max(slowestMs, longest(states));
    const broken = states.filter(({ error }) => error !== undefined).length;
    progress(`${change + 1} changes, ${broken} broken, slowest ${slowestMs.toFixed(0)} ms`);
  }
  await streams.goOn();
  const straightStates = await straight.states();
  const straightMs = longest(straightStates);
  await resets.stop();
  const states = await streams.states();
  slowestMs = Math.max(slowestMs, longest(states));
  const broken = states.filter(({ error }) => error !== undefined);
  const resetCount = (await resets.lines()).length;
  const numbers = states.reduce((sum, { received }) => sum + received, 0);
  const failures = broken.slice(0, 5).map(({ port, error }) => `port ${port}: ${error}`);
  if (resetCount > 0) failures.push(`${resetCount} resets on the wire`);
  failures.push(
    ...straightStates.flatMap(({ error }) => error === undefined ? [] : [`past the farm: ${error}`]),
  );
  if (slowestMs > STALL_MS_MAX) {
    failures.push(
      `a connection stood still for ${slowestMs.toFixed(0)} ms, one past the farm for ${
        straightMs.toFixed(0)
      } ms`,
    );
  }
  return {
    figures: [
      `${times} changes (${[...done].map(([what, count]) => `${what}: ${count}`).join("; ")})`,
      `${states.length} connections, ${numbers} numbers there and back in order; ${broken.length} broken, ` +
      `${resetCount} resets; the longest that a number was under way: ${
        slowestMs.toFixed(0)
      } ms; past the farm: ${straightMs.toFixed(0)} ms`,
    ],
    failures,
  };
}

function longest(states: readonly StreamState[]): number {
  return Math.max(...states.map(({ slowestMs }) => slowestMs));
}

export const plannedChanges: Story = {
  name: "planned-changes",
  claim:
    "1,000 open connections live through 200 joins, leaves, drains, resumes and weight changes: no reset, " +
    "nothing lost, no stall above one second",
  times: 200,
  run,
};
