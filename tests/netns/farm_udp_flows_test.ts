/** UDP flows of a service with `flow_timeout`, through a join, a drain and a replacement of the program. */
import assert from "node:assert/strict";
import { Lab, LAB_PORTS } from "../../src/lab/lab.ts";
import { lines } from "../../src/lab/lines.ts";
import { hasEvent, ignore } from "./farm_failure_support.ts";
import { withLogs } from "./farm_support.ts";
import type { UdpFlowState } from "./farm_udp_client.ts";

const FLOWS = 300;
const EVERY_MS = 100;
const SERVICES = [
  { name: "http", protocol: "tcp", ports: [LAB_PORTS.http] },
  { name: "echo", protocol: "udp", ports: [LAB_PORTS.echo], flow_timeout: "3s" },
];

/** Flows of one client program. */
class Flows {
  readonly #process;
  readonly #output;
  readonly #input;

  constructor(readonly lab: Lab, count: number) {
    const program = new URL("./farm_udp_client.ts", import.meta.url).pathname;
    const where = [lab.virtualIps.ipv4[0], LAB_PORTS.echo, count, EVERY_MS].map(String);
    this.#process = lab.spawn("c1", [Deno.execPath(), "run", "-A", "--quiet", program, ...where], {
      stdin: "piped",
      stdout: "piped",
    });
    this.#output = lines(this.#process.child.stdout);
    this.#input = this.#process.child.stdin.getWriter();
  }

  async states(): Promise<UdpFlowState[]> {
    await this.#input.write(new TextEncoder().encode("\n"));
    return JSON.parse((await this.#output.next()).value ?? "[]");
  }

  /** Waits until each flow was answered so many times more. */
  async goOn(answers = 5): Promise<UdpFlowState[]> {
    const before = await this.states();
    let now = before;
    await this.lab.waitFor(
      async () => {
        now = await this.states();
        return now.every((flow, i) => flow.answers >= before[i].answers + answers);
      },
      20_000,
      "every flow to be answered",
    );
    return now;
  }

  async close(): Promise<void> {
    await this.#process.kill();
  }
}

/** Every flow was answered by one node, the same as before, and no datagram by two. */
function assertStayed(before: readonly UdpFlowState[], now: readonly UdpFlowState[], what: string): void {
  assert.deepEqual(now.map(({ nodes }) => nodes), before.map(({ nodes }) => nodes), what);
  for (const { sent, answers } of now) assert.ok(answers <= sent, `${what}: ${answers} answers to ${sent}`);
}

function lostOf(flows: readonly UdpFlowState[]): number {
  return Math.max(...flows.map(({ sent, answers }) => sent - answers));
}

Deno.test(
  { name: "UDP flows stay on their node when others join, when it drains and is replaced", ignore },
  async () => {
    await using lab = await Lab.create({ nodes: 3, clients: 1, config: { services: SERVICES } });
    await lab.startServices();
    const [n1, n2] = lab.nodes;
    await Promise.all([lab.startNode(1), lab.startNode(2)]);
    await lab.waitForMembers(["n1", "n2"]);
    const flows = new Flows(lab, FLOWS);
    const start = await flows.goOn();
    const onN1 = start.filter(({ nodes }) => nodes[0] === "n1").length;
    assert.ok(start.every(({ nodes }) => nodes.length === 1) && onN1 > 50 && onN1 < FLOWS - 50, `${onN1}`);

    await lab.startNode(3);
    await lab.waitForMembers(["n1", "n2", "n3"]);
    assertStayed(start, await flows.goOn(), "a node joined");

    await n2.api("POST", "/api/v1/nodes/n1/drain");
    await lab.waitFor(
      async () => (await n2.farm()).members.find(({ name }) => name === "n1")?.state === "draining",
      10_000,
      "n1 to drain",
    );
    assertStayed(start, await flows.goOn(), "their node drains");

    Deno.kill(n1.daemon!.pid, "SIGUSR2");
    await lab.waitFor(hasEvent(n1, "program.replaced"), 30_000, "the program to be replaced");
    await withLogs(lab, async () => {
      assertStayed(start, await flows.goOn(), "the program of their node was replaced");
    });

    const later = new Flows(lab, FLOWS);
    const fresh = await later.goOn();
    assert.ok(fresh.some(({ nodes }) => nodes[0] === "n3"), "new flows reach the node that joined");
    const lost = lostOf(await flows.states());
    await Promise.all([flows.close(), later.close()]);
    // Idle for longer than their timeout: nothing is kept any more, and new flows go by the table alone.
    await lab.waitFor(
      async () => {
        const { members } = await n1.api<{ members: Array<{ name: string; retained?: number }> }>(
          "GET",
          "/api/v1/farm",
        );
        return members.find(({ name }) => name === "n1")?.retained === 0;
      },
      20_000,
      "n1 to be free of flows",
    );
    const last = new Flows(lab, FLOWS);
    assert.deepEqual((await last.goOn()).filter(({ nodes }) => nodes.includes("n1")), []);
    await last.close();
    console.log(`  ${FLOWS} flows stayed; of one flow at most ${lost} datagrams had no answer`);
  },
);
