/**
 * The lab's network, as pure functions: who has which address, and the ip(8) commands that build it.
 *
 * ```
 *   n1 eth0      n2 eth0  …     c1 eth0  …       each in its own network namespace
 *     |            |              |              veth pairs
 *   [n1]         [n2]           [c1]
 *     +----- br0 --+--------------+              one more namespace, with the bridge
 * ```
 */

import { parseAddress } from "../core/address.ts";
import { VipfarmError } from "../core/errors.ts";
import { MEMBERS_MAX } from "../core/limits.ts";

/** First three numbers of every IPv4 address of a lab, and its prefix length. */
export const NETWORK4 = { prefix: "10.86.70", length: 24 } as const;
/** The IPv6 network of a lab (unique local, RFC 4193). */
export const NETWORK6 = { prefix: "fd86:70:", length: 64 } as const;
/** Virtual IPs when none are given. */
export const DEFAULT_VIRTUAL_IPS = ["10.86.70.100", "fd86:70::100"] as const;
/** Clients that fit beside the nodes, in last numbers 101 to 116. */
export const CLIENTS_MAX = 16;
/** Further addresses of each client (for affinity `client`), in last numbers 117 to 254 over all clients. */
const EXTRA_FIRST = 117;
const EXTRA_LAST = 254;

/** One machine of the lab. */
export interface Station {
  readonly name: string;
  readonly ipv4: string;
  readonly ipv6: string;
  /** All its IPv4 addresses, the first of which is `ipv4`. */
  readonly ipv4All: readonly string[];
  readonly ipv6All: readonly string[];
}

/** What a lab consists of. */
export interface Topology {
  readonly nodes: readonly Station[];
  readonly clients: readonly Station[];
}

/**
 * Gives names and addresses: nodes n1… get .1 and up, clients c1… get .101 and up, further client addresses .117 and up.
 * @throws VipfarmError if they do not fit.
 */
export function planTopology(nodes: number, clients: number, addressesPerClient = 1): Topology {
  whole("nodes", nodes, 1, MEMBERS_MAX);
  whole("clients", clients, 1, CLIENTS_MAX);
  const extra = addressesPerClient - 1;
  whole(
    "addresses of each client",
    addressesPerClient,
    1,
    1 + Math.floor((EXTRA_LAST - EXTRA_FIRST + 1) / clients),
  );
  return {
    nodes: Array.from({ length: nodes }, (_, i) => station(`n${i + 1}`, [i + 1])),
    clients: Array.from({ length: clients }, (_, i) => {
      const more = Array.from({ length: extra }, (_, j) => EXTRA_FIRST + i * extra + j);
      return station(`c${i + 1}`, [101 + i, ...more]);
    }),
  };
}

/** Commands that build the bridge with one veth pair to each station; run them in the bridge's namespace. */
export function bridgeCommands(stations: ReadonlyArray<{ name: string; holderPid: number }>): string[] {
  // Without snooping every multicast frame reaches every port, as on a plain switch; without forward delay ports
  // work at once.
  const lines = ["link add br0 type bridge mcast_snooping 0 stp_state 0 forward_delay 0", "link set br0 up"];
  for (const { name, holderPid } of stations) {
    lines.push(
      `link add ${name} type veth peer name eth0 netns ${holderPid}`,
      `link set ${name} master br0 up`,
    );
  }
  return lines;
}

/** Commands that give a station its addresses; run them in its namespace. */
export function stationCommands(station: Station): string[] {
  return [
    "link set eth0 up",
    ...station.ipv4All.map((address) =>
      `addr add ${address}/${NETWORK4.length} brd ${NETWORK4.prefix}.255 dev eth0`
    ),
    ...station.ipv6All.map((address) => `addr add ${address}/${NETWORK6.length} dev eth0 nodad`),
  ];
}

/** Checks virtual IPs and splits them by family. */
export function splitVirtualIps(addresses: readonly string[]): { ipv4: string[]; ipv6: string[] } {
  const split = { ipv4: [] as string[], ipv6: [] as string[] };
  for (const text of addresses) {
    const address = parseAddress(text);
    if (address === undefined) {
      throw new VipfarmError({ operation: "make a lab", problem: "not an IP address", value: text });
    }
    split[address.family === 4 ? "ipv4" : "ipv6"].push(address.text);
  }
  return split;
}

function station(name: string, lastNumbers: readonly number[]): Station {
  const ipv4All = lastNumbers.map((n) => `${NETWORK4.prefix}.${n}`);
  // The same digits in both families, so that a reader sees which belong together: .101 and ::101.
  const ipv6All = lastNumbers.map((n) => `${NETWORK6.prefix}:${n}`);
  return { name, ipv4: ipv4All[0], ipv6: ipv6All[0], ipv4All, ipv6All };
}

function whole(what: string, value: number, min: number, max: number): void {
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new VipfarmError({
      operation: "make a lab",
      problem: `the number of ${what} must be ${min} to ${max}`,
      value: String(value),
      remedy: `Ask for ${min} to ${max}.`,
    });
  }
}
