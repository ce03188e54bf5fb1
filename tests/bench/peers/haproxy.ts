/** HAProxy in TCP mode on the first node, which holds the address, in front of the three servers. */
import type { Contender } from "./contender.ts";
import { BULK_PORTS, HTTP_PORT, INTERFACE, type Machine, Server, VIRTUAL_IP } from "./topology.ts";

/** Not the servers' own ports, because one of the servers is on the same node. */
const PROXY_HTTP_PORT = 8080;
const PROXY_BULK_PORTS = BULK_PORTS.map((port) => port + 100);

function config(nodes: readonly Machine[]): string {
  const servers = nodes.map(({ name, station }) => `  server ${name} ${station.ipv4}:${HTTP_PORT}`).join(
    "\n",
  );
  const bulk = BULK_PORTS.map((port, i) => `
listen bulk${i + 1}
  bind ${VIRTUAL_IP}:${PROXY_BULK_PORTS[i]}
  server ${nodes[i].name} ${nodes[i].station.ipv4}:${port}
`).join("");
  return `
defaults
  mode tcp
  option splice-auto
  timeout connect 5s
  timeout client 1m
  timeout server 1m

listen http
  bind ${VIRTUAL_IP}:${PROXY_HTTP_PORT} backlog 4096
  balance roundrobin
${servers}
${bulk}`;
}

let server: Server | undefined;

export const haproxy: Contender = {
  name: "HAProxy",
  setup: "HAProxy in TCP mode on one of the three nodes, default threads, splicing allowed, round robin",
  spreadsClients: false,

  async start(topology) {
    const [node] = topology.nodes;
    const file = `${topology.directory}/haproxy.cfg`;
    await Deno.writeTextFile(file, config(topology.nodes));
    await node.namespace.ip([`address add ${VIRTUAL_IP}/32 dev ${INTERFACE}`]);
    server = topology.serve(node, "haproxy", ["haproxy", "-db", "-f", file]);
    await server.listening(node, [PROXY_HTTP_PORT, ...PROXY_BULK_PORTS]);
    return { address: VIRTUAL_IP, httpPort: PROXY_HTTP_PORT, bulkPorts: PROXY_BULK_PORTS };
  },

  async stop({ nodes, clients }) {
    server?.assertRunning();
    await server?.stop();
    server = undefined;
    await nodes[0].namespace.ip([`address del ${VIRTUAL_IP}/32 dev ${INTERFACE}`]);
    // The next contender answers for the address from elsewhere.
    for (const { namespace } of clients) await namespace.ip([`neighbour flush to ${VIRTUAL_IP}`]);
  },
};
