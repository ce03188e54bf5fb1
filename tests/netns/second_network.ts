/** A lab whose nodes share a second LAN, and how they lose each other on one of the two. */

import type { Lab } from "../../src/lab/lab.ts";

/** A second bridge, with an interface eth1 on every node. Nodes are `n1b`, `n2b`… to {@link Lab.cut} there. */
export async function addSecondNetwork(lab: Lab): Promise<void> {
  const bridge = ["link add br1 type bridge mcast_snooping 0 stp_state 0 forward_delay 0", "link set br1 up"];
  for (const { name, namespace } of lab.nodes) {
    bridge.push(
      `link add ${name}b type veth peer name eth1 netns ${namespace.holder.pid}`,
      `link set ${name}b master br1 up`,
    );
  }
  await lab.namespace("bridge").ip(bridge);
  for (const [i, { namespace }] of lab.nodes.entries()) {
    await namespace.ip(["link set eth1 up", `addr add 10.86.71.${i + 1}/24 dev eth1`]);
  }
}

/** Cuts the nodes off from each other on one network; clients go on reaching all of them. `b`: on the second. */
export async function cutNodesApart(lab: Lab, suffix: "" | "b" = ""): Promise<void> {
  for (const from of lab.nodes) {
    for (const to of lab.nodes) {
      if (from !== to) await lab.cutBetween(`${from.name}${suffix}`, `${to.name}${suffix}`);
    }
  }
}
