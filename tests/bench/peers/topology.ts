/**
 * The one topology in which every contender runs, a lab with servers:
 *
 *     c1       c2       c3                    one load generator each
 *     │        │        │
 *    ─┴────────┴────────┴────────┬─           a bridge: the switch
 *     │        │        │        │
 *     n1       n2       n3       c4           nginx and iperf3, the same on each
 *
 * Three clients and not one, because xt_cluster decides by the client's address alone: a single client would
 * meet a single node. The fourth server is in no contender's hands: it is what the clients have without any of them.
 */
import { Lab } from "../../../src/lab/lab.ts";
import type { LabNamespace } from "../../../src/lab/namespace.ts";
import type { LabProcess } from "../../../src/lab/process.ts";
import { DEFAULT_VIRTUAL_IPS, type Station } from "../../../src/lab/topology.ts";
import { waitFor } from "../../../src/lab/wait.ts";
import type { Endpoint } from "./measure.ts";

/** As many clients as nodes, so that each can meet another one. */
const SIZE = 3;

export const VIRTUAL_IP = DEFAULT_VIRTUAL_IPS[0];
/** What the lab calls every machine's own interface. */
export const INTERFACE = "eth0";
export const HTTP_PORT = 80;

/** An iperf3 server takes one test at a time, so every client has a port of its own, on every node. */
export const BULK_PORTS = Array.from({ length: SIZE }, (_, i) => 5201 + i);

/** Smallest, first and largest, in bytes: what Linux takes by default where there is memory enough, tcp(7). */
const TCP_RECEIVE_BUFFER = "4096 131072 6291456";

/** Servers that do not listen after this time will not. */
const LISTEN_TIMEOUT_MS = 10_000;
/** Servers that have not ended so long after they were asked to will not. */
const STOP_TIMEOUT_MS = 10_000;

/** A machine: its addresses, and the namespace in which it lives. */
export interface Machine {
  readonly name: string;
  readonly station: Station;
  readonly namespace: LabNamespace;
}

/** A server that logs to a file, and whose unexpected end is an error that quotes the log. */
export class Server {
  readonly #process: LabProcess;
  readonly #name: string;
  readonly #logFile: string;

  constructor(machine: Machine, logFile: string, argv: string[]) {
    this.#name = `${argv[0]} on ${machine.name}`;
    this.#logFile = logFile;
    this.#process = machine.namespace.spawn(argv, { logFile });
  }

  /** Throws with the end of its log if the server is no longer there. */
  assertRunning(): void {
    if (this.#process.running) return;
    const log = Deno.readTextFileSync(this.#logFile).split("\n").slice(-20).join("\n");
    throw new Error(`${this.#name} ended with ${this.#process.status?.code}:\n${log}`);
  }

  /** Waits until every one of these ports is listened on. */
  async listening(machine: Machine, ports: readonly number[]): Promise<void> {
    await waitFor(
      async () => {
        this.assertRunning();
        const { stdout } = await machine.namespace.run(["ss", "-Htln"]);
        return ports.every((port) => stdout.includes(`:${port} `));
      },
      LISTEN_TIMEOUT_MS,
      `${this.#name} to listen on ${ports}`,
    );
  }

  /** Asks the server to end and waits until it has. */
  async stop(): Promise<void> {
    this.#process.signal("SIGTERM");
    await this.#process.ended(STOP_TIMEOUT_MS);
  }
}

function nginxConfig(node: string, directory: string): string {
  return `
daemon off;
worker_processes auto;
pid ${directory}/${node}.nginx.pid;
error_log ${directory}/${node}.nginx.errors;
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path ${directory}/${node}.body;
  proxy_temp_path ${directory}/${node}.proxy;
  fastcgi_temp_path ${directory}/${node}.fastcgi;
  uwsgi_temp_path ${directory}/${node}.uwsgi;
  scgi_temp_path ${directory}/${node}.scgi;
  server {
    listen ${HTTP_PORT} backlog=4096;
    location / { return 200 "${node}\\n"; }
  }
}
`;
}

const BRIDGE_SETTINGS = ["iptables", "ip6tables", "arptables"].map((table) =>
  `net.bridge.bridge-nf-call-${table}=0`
);

/** Drops what the bridge would hand to the namespace that it is in. */
const BRIDGE_RULES =
  "table bridge peers { chain input { type filter hook input priority 0; policy drop; }; }";

/** The switch, the clients and the servers. */
export class Topology {
  readonly lab: Lab;
  readonly #servers: Server[] = [];

  private constructor(lab: Lab) {
    this.lab = lab;
  }

  /** config: of the farm that vipfarm makes of the nodes, in place of the lab's own. */
  static async build(config: Readonly<Record<string, unknown>>): Promise<Topology> {
    // A machine of a lab that runs no daemon is a client, whatever it does.
    const lab = await Lab.create({ nodes: SIZE, clients: SIZE + 1, virtualIps: [VIRTUAL_IP], config });
    const topology = new Topology(lab);
    for (const { namespace } of [...lab.nodes, ...lab.clients]) {
      // A connection per request at full speed must not run out of ports.
      await namespace.run(["sysctl", "-qw", "net.ipv4.ip_local_port_range=1024 65535"]);
    }
    for (const { namespace } of lab.clients) {
      // The kernel's own limit, whatever this host was tuned to: what a stopped download fills is not much (turns.ts).
      await namespace.run(["sysctl", "-qw", `net.ipv4.tcp_rmem=${TCP_RECEIVE_BUFFER}`]);
    }
    // A switch runs no firewall, but a bridge hands every frame to iptables where br_netfilter is there, each copy
    // that it floods by itself (-e: where it is not, there are no such settings).
    const bridge = lab.namespace("bridge");
    await bridge.run(["sysctl", "-e", "-qw", ...BRIDGE_SETTINGS]);
    // Nor has it an IP stack that takes a copy of all that is flooded.
    await bridge.run(["nft", BRIDGE_RULES]);
    // A real client's NIC drops the frames to a group that it has not joined; a veth has no such filter, so
    // without this each client would pay in software for what is flooded to the nodes.
    await bridge.ip(lab.clients.map(({ name }) => `link set ${name} type bridge_slave mcast_flood off`));
    for (const node of [...topology.nodes, topology.#server]) await topology.#startServers(node);
    return topology;
  }

  get nodes(): readonly Machine[] {
    return this.lab.nodes;
  }

  get clients(): readonly Machine[] {
    return this.lab.clients.slice(0, SIZE);
  }

  get #server(): Machine {
    return this.lab.clients[SIZE];
  }

  /** One server, by its own address: no farm at all. */
  get straight(): Endpoint {
    return { address: this.#server.station.ipv4, httpPort: HTTP_PORT, bulkPorts: BULK_PORTS };
  }

  /** For configurations, logs and pid files; gone with the lab. */
  get directory(): string {
    return this.lab.directory;
  }

  async #startServers(node: Machine): Promise<void> {
    const config = `${this.directory}/${node.name}.nginx.conf`;
    await Deno.writeTextFile(config, nginxConfig(node.name, this.directory));
    const nginx = this.serve(node, "nginx", ["nginx", "-p", this.directory, "-c", config]);
    this.#servers.push(nginx);
    for (const port of BULK_PORTS) {
      this.#servers.push(this.serve(node, `iperf3.${port}`, ["iperf3", "-s", "-p", `${port}`]));
    }
    await nginx.listening(node, [HTTP_PORT, ...BULK_PORTS]);
  }

  /** Starts a server on a machine; name: of its log file. */
  serve(machine: Machine, name: string, argv: string[]): Server {
    return new Server(machine, `${this.directory}/${machine.name}.${name}.log`, argv);
  }

  /** Throws if any of the nodes' servers has ended. */
  assertRunning(): void {
    for (const server of this.#servers) server.assertRunning();
  }

  /** Ends every server and removes the lab. */
  async stop(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.stop()));
    await this.lab.dispose();
  }
}
