/**
 * iptables with `-m cluster`, after the example in iptables-extensions(8): every node has the address, every
 * packet reaches every node by a shared multicast MAC, and each node's rule takes the clients that hash to it.
 *
 * - The match itself makes PACKET_MULTICAST into PACKET_HOST (net/netfilter/xt_cluster.c), without which TCP
 *   would refuse the packet. So the manual's arptables rules, which only rewrite ARP, are not needed where the
 *   clients have a static entry.
 * - ACCEPT and DROP do what the manual does by a mark, in one rule less.
 */
import type { Contender } from "./contender.ts";
import { BULK_PORTS, HTTP_PORT, INTERFACE, VIRTUAL_IP } from "./topology.ts";

const SHARED_MAC = "01:00:5e:00:01:01";

/** Any seed does; with this one the three clients' addresses hash to three different nodes. */
const HASH_SEED = "0x7";

function rules(nodeNumber: number, nodeCount: number): string[][] {
  const toVip = ["PREROUTING", "-i", INTERFACE, "-d", VIRTUAL_IP];
  const cluster = [
    ...["-m", "cluster", "--cluster-total-nodes", `${nodeCount}`],
    ...["--cluster-local-node", `${nodeNumber}`, "--cluster-hash-seed", HASH_SEED],
  ];
  return [[...toVip, ...cluster, "-j", "ACCEPT"], [...toVip, "-j", "DROP"]];
}

export const xtCluster: Contender = {
  name: "xt_cluster",
  setup: "iptables -m cluster with conntrack on the three nodes, a shared multicast MAC, static ARP entries",
  spreadsClients: true,

  async start({ nodes, clients }) {
    for (const [i, { namespace }] of nodes.entries()) {
      // As the manual says: otherwise an acknowledgement to another node would open a connection here.
      await namespace.run(["sysctl", "-qw", "net.netfilter.nf_conntrack_tcp_loose=0"]);
      for (const rule of rules(i + 1, nodes.length)) {
        await namespace.run(["iptables", "-t", "mangle", "-A", ...rule]);
      }
      // Not in one batch: ip ends at once after its maddress command, whatever follows.
      await namespace.ip([`address add ${VIRTUAL_IP}/32 dev ${INTERFACE}`]);
      await namespace.ip([`maddress add ${SHARED_MAC} dev ${INTERFACE}`]);
    }
    for (const { namespace } of clients) {
      await namespace.ip([`neighbour replace ${VIRTUAL_IP} lladdr ${SHARED_MAC} dev ${INTERFACE}`]);
    }
    return { address: VIRTUAL_IP, httpPort: HTTP_PORT, bulkPorts: BULK_PORTS };
  },

  async stop({ nodes, clients }) {
    for (const [i, { namespace }] of nodes.entries()) {
      await namespace.ip([`address del ${VIRTUAL_IP}/32 dev ${INTERFACE}`]);
      await namespace.ip([`maddress del ${SHARED_MAC} dev ${INTERFACE}`]);
      for (const rule of rules(i + 1, nodes.length)) {
        await namespace.run(["iptables", "-t", "mangle", "-D", ...rule]);
      }
    }
    // Last: a client that asked while a node still had the address would go on to that node.
    for (const { namespace } of clients) {
      await namespace.ip([`neighbour del ${VIRTUAL_IP} dev ${INTERFACE}`]);
    }
  },
};
