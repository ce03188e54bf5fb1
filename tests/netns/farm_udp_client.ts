/**
 * UDP flows that go on, in a client's namespace: `ADDRESS PORT COUNT EVERY_MS`. Each flow has a port of its own and sends
 * a datagram every so often; the lab's echo service answers with the name of the node. A line on standard input is
 * answered with the state of all flows, as one line of JSON.
 */
import dgram from "node:dgram";
import { lines } from "../../src/lab/lines.ts";

/** What became of one flow. */
export interface UdpFlowState {
  sent: number;
  answers: number;
  /** Nodes in the order in which they answered, each change once. */
  nodes: string[];
}

if (import.meta.main) {
  const [address, port, count, everyMs] = Deno.args;
  const flows = await Promise.all(Array.from({ length: Number(count) }, async () => {
    const state: UdpFlowState = { sent: 0, answers: 0, nodes: [] };
    const socket = dgram.createSocket(address.includes(":") ? "udp6" : "udp4");
    socket.on("message", (name) => {
      state.answers++;
      if (state.nodes.at(-1) !== name.toString()) state.nodes.push(name.toString());
    });
    await new Promise<void>((resolve) => socket.bind(0, resolve));
    return { socket, state };
  }));
  setInterval(() => {
    for (const { socket, state } of flows) {
      state.sent++;
      socket.send("x", Number(port), address);
    }
  }, Number(everyMs));
  for await (const _ of lines(Deno.stdin.readable)) {
    console.log(JSON.stringify(flows.map(({ state }) => state)));
  }
}
