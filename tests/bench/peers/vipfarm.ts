/**
 * vipfarm itself: the real daemon on every node. HTTP by connection, as most would run it; bulk by client, because
 * the control and the data connections of an iperf3 client must meet the same server.
 */
import { parseAddress } from "../../../src/core/address.ts";
import { deriveKeys } from "../../../src/core/keys.ts";
import { explainFlow } from "../../../src/ownership/explain.ts";
import { AFFINITY } from "../../../src/ownership/flow_hash.ts";
import { signalDaemon } from "../../netns/farm_failure_support.ts";
import type { Contender } from "./contender.ts";
import { BULK_PORTS, HTTP_PORT, type Topology, VIRTUAL_IP } from "./topology.ts";

const FARM = "bench";

/** The farm's configuration, beside what the lab adds (interface, virtual IP, secret). */
export const FARM_CONFIG = {
  farm: FARM,
  services: [
    { name: "http", protocol: "tcp", ports: [HTTP_PORT], affinity: "connection" },
    { name: "bulk", protocol: "tcp", ports: BULK_PORTS, affinity: "client" },
  ],
};

/** Secrets tried before it is said that something else is wrong: 2 in 9 spread three clients over three nodes. */
const SECRETS_TRIED_MAX = 200;

/** Any secret does; this is the first of a fixed row with which each client's bulk meets another node. */
async function spreadingSecret({ nodes, clients }: Topology): Promise<Uint8Array> {
  const members = nodes.map(({ name }) => ({ name, weight: 100 }));
  const addresses = clients.map(({ station }) => parseAddress(station.ipv4)!);
  for (let i = 0; i < SECRETS_TRIED_MAX; i++) {
    const name = new TextEncoder().encode(`a secret of the benchmark, number ${i}`);
    const secret = new Uint8Array(await crypto.subtle.digest("SHA-256", name));
    const { flowKey, rendezvousKey } = deriveKeys(secret, FARM);
    const owners = addresses.map((client) =>
      explainFlow({ client, affinity: AFFINITY.client, flowKey, rendezvousKey }, members).owner
    );
    if (new Set(owners).size === clients.length) return secret;
  }
  throw new Error(`none of ${SECRETS_TRIED_MAX} secrets spreads the clients over the nodes`);
}

/** For a second after it has joined, a node's packets go through its daemon (src/dataplane/kernel_claims.ts). */
const FRESH_MS = 1_500;

const SETUP = "the daemon on the three nodes, datapath tun, mode multicast, everything else as by default";

export const vipfarm: Contender = contender("vipfarm", SETUP);

/** What the fast path is worth: every packet of a node goes through its daemon. */
export const vipfarmWithoutFastPath: Contender = contender(
  "vipfarm (no fast path)",
  "the same with VIPFARM_FASTPATH=off: every packet for a node goes through its daemon and the TUN device",
  { VIPFARM_FASTPATH: "off" },
);

function contender(name: string, setup: string, env?: Record<string, string>): Contender {
  return {
    name,
    setup,
    spreadsClients: false,

    async start(topology) {
      const secret = (await spreadingSecret(topology)).toBase64();
      await Deno.writeTextFile(`${topology.directory}/secret`, `${secret}\n`, { mode: 0o600 });
      await topology.lab.startNodes({ env });
      return { address: VIRTUAL_IP, httpPort: HTTP_PORT, bulkPorts: BULK_PORTS };
    },

    async stop({ lab, clients }) {
      await Promise.all(lab.nodes.map((node) => node.stopDaemon()));
      // The next contender answers for the address from elsewhere.
      for (const { namespace } of clients) await namespace.ip([`neighbour flush to ${VIRTUAL_IP}`]);
    },

    async pause({ lab }) {
      await Promise.all(lab.nodes.map((node) => signalDaemon(node, "SIGSTOP")));
    },

    async resume({ lab }) {
      await Promise.all(lab.nodes.map((node) => signalDaemon(node, "SIGCONT")));
    },

    // After a pause that was longer than its lease, each node joins anew.
    async settle({ lab }) {
      await lab.waitForMembers(lab.nodes.map(({ name }) => name));
      await new Promise((resolve) => setTimeout(resolve, FRESH_MS));
    },
  };
}
