/** Which sockets the heartbeats need on this host: from the configuration and the host's addresses. */
import { interfaceByName } from "../../ffi/interface.ts";
import { addresses } from "../../ffi/rtnetlink.ts";
import { type HeartbeatConfig } from "../config/load.ts";
import { addressFromBytes, inNetwork, type IpAddress } from "../core/address.ts";
import { VipfarmError } from "../core/errors.ts";
import { type HeartbeatNetwork } from "../thread_messages.ts";

/** A heartbeat interface with its addresses. */
export interface HostInterface {
  readonly name: string;
  readonly index: number;
  readonly addresses: ReadonlyArray<{ readonly address: Uint8Array; readonly prefixLength: number }>;
}

/** The networks, and what is odd about them: sentences for the log. */
export interface NetworkPlan {
  networks: HeartbeatNetwork[];
  warnings: string[];
}

/** The networks of this host. Throws VipfarmError; SystemError if an interface is not there. */
export function hostNetworks(
  heartbeat: Pick<HeartbeatConfig, "groups" | "peers">,
  heartbeatInterfaces: readonly string[],
): NetworkPlan {
  const interfaces = heartbeatInterfaces.map((name) => {
    const { index } = interfaceByName(name);
    return { name, index, addresses: addresses(index) };
  });
  return planNetworks(heartbeat, interfaces, addresses().map(({ address }) => address));
}

/**
 * One network for each interface: its multicast group (IPv4 where the interface has an IPv4 address and the farm an IPv4
 * group, else IPv6), or, if the farm names peers, those that are on the interface's own networks, one network for each
 * address family. Pure. A peer that is on none of them is behind a router: it is sent to from the first interface that has an
 * address of its family. `ownAddresses` are all addresses of this host: a node is no peer of its own.
 * @throws VipfarmError if nothing is left to send to
 */
export function planNetworks(
  heartbeat: Pick<HeartbeatConfig, "groups" | "peers">,
  interfaces: readonly HostInterface[],
  ownAddresses: readonly Uint8Array[],
): NetworkPlan {
  if (heartbeat.peers.length === 0) {
    return { networks: interfaces.map((each) => multicast(heartbeat, each)), warnings: [] };
  }
  const own = new Set(ownAddresses.map((address) => addressFromBytes(address).text));
  const isOwn = ({ text }: IpAddress) => own.has(text);
  const others = heartbeat.peers.filter((peer) => !isOwn(peer));
  const networks = interfaces.flatMap((each) =>
    ([4, 6] as const).flatMap((family) => peersOf(each, family, interfaces, others, heartbeat.peers))
  );
  const served = new Set(networks.map(({ interfaceName }) => interfaceName));
  const warnings = interfaces.filter(({ name }) => !served.has(name)).map(({ name }) =>
    `No heartbeat goes out on ${name}: none of heartbeat.peers is reached by it.`
  );
  if (!heartbeat.peers.some(isOwn)) {
    warnings.push(
      "No address of this node is in heartbeat.peers: with the same file, the other nodes do not send to it.",
    );
  }
  if (networks.length === 0) {
    throw new VipfarmError({
      operation: "plan heartbeats",
      problem: "no peer can be reached by a heartbeat interface",
      value: heartbeat.peers.map(({ text }) => text).join(", "),
      remedy: "Give the addresses of the other nodes on the networks of heartbeat.interfaces.",
    });
  }
  return { networks, warnings };
}

function multicast({ groups }: Pick<HeartbeatConfig, "groups">, each: HostInterface): HeartbeatNetwork {
  const hasIpv4 = each.addresses.some(({ address }) => address.length === 4);
  const group = hasIpv4 && groups.ipv4 !== undefined ? groups.ipv4 : groups.ipv6;
  return {
    interfaceName: each.name,
    interfaceIndex: each.index,
    via: `multicast ${group.text}`,
    group: group.bytes,
    targets: [group.bytes],
  };
}

function peersOf(
  each: HostInterface,
  family: 4 | 6,
  interfaces: readonly HostInterface[],
  others: readonly IpAddress[],
  peers: readonly IpAddress[],
): HeartbeatNetwork[] {
  const firstOfFamily = interfaces.find(({ addresses }) => addresses.some((own) => familyOf(own) === family));
  const targets = others.filter((peer) =>
    peer.family === family &&
    (onLink(each, peer) || (each === firstOfFamily && !interfaces.some((other) => onLink(other, peer))))
  );
  if (targets.length === 0) return [];
  // At the address that the others know; at any, if they know none.
  const listed = each.addresses.map(({ address }) => address)
    .find((address) =>
      peers.some((peer) => peer.text === addressFromBytes(address).text && peer.family === family)
    );
  return [{
    interfaceName: each.name,
    interfaceIndex: each.index,
    via: `peers over IPv${family}`,
    localAddress: listed ?? new Uint8Array(family === 4 ? 4 : 16),
    targets: targets.map(({ bytes }) => bytes),
  }];
}

function onLink({ addresses }: HostInterface, peer: IpAddress): boolean {
  return addresses.some((own) =>
    familyOf(own) === peer.family && inNetwork(peer, addressFromBytes(own.address), own.prefixLength)
  );
}

function familyOf({ address }: { readonly address: Uint8Array }): 4 | 6 {
  return address.length === 4 ? 4 : 6;
}
