/**
 * Would this host's firewall drop heartbeats, or packets to the services, or translate their addresses? By its rules:
 * those of nftables, and those of iptables in both of its kinds. Rules can say anything, so this only ever warns.
 */
import { type FarmConfig, type NodeConfig } from "../config/load.ts";
import { type IpAddress } from "../core/address.ts";
import type { Finding } from "./finding.ts";
import { iptablesTables } from "./firewall_iptables.ts";
import { type IncomingPacket, judge, type Table } from "./firewall_model.ts";
import { nftTables } from "./firewall_nft.ts";
import { FIRST_TUN_NAME } from "./tun_name.ts";

/** What the host's programs print; undefined: there is no such program, or it may not look. */
export interface FirewallRules {
  readonly nft: string | undefined;
  /** By the program's name: `iptables`, `ip6tables`, and both with `-legacy`. */
  readonly iptables: ReadonlyMap<string, string>;
}

/** So many ports of a range are asked about one by one. */
const PORTS_PER_RANGE_MAX = 256;

/** The kernel of the host then has no socket for the connection, which the farm goes by (control/connections.ts). */
const TRANSLATION_REMEDY =
  "Let the server listen on the host itself: the host's network for a container (docker run --network host; " +
  "network_mode: host; hostNetwork: true), the service's own port in place of REDIRECT.";

/** Packets that must come in: heartbeats, and the first one of each service. */
export function expectedPackets(config: FarmConfig, node: NodeConfig): IncomingPacket[] {
  const { groups, port, peers } = config.heartbeat;
  const targets = peers.length > 0 ? peers : [groups.ipv4 ?? groups.ipv6];
  const families = new Map(targets.map((target) => [target.family, target]));
  const heartbeats = node.heartbeatInterfaces.flatMap((name) =>
    [...families.values()].map((target): IncomingPacket => ({
      what: "heartbeats",
      family: target.family,
      interface: name,
      protocol: "udp",
      destination: target.text,
      port,
      isForService: false,
      fromTun: false,
    }))
  );
  const interfaceOf = (vip: IpAddress) =>
    node.virtualIps.find(({ address }) => address.text === vip.text)?.interface ?? node.interface;
  // Plain packets go on where they came in, the others by the TUN device.
  const services = config.services.flatMap(({ name, virtualIps, protocol, ports }) =>
    virtualIps.flatMap((address) =>
      [interfaceOf(address), FIRST_TUN_NAME].flatMap((on) =>
        ports.flatMap(portsOf).map((port): IncomingPacket => ({
          what: `packets of the service ${name} to ${address.text}`,
          family: address.family,
          interface: on,
          protocol,
          destination: address.text,
          port,
          isForService: true,
          fromTun: on === FIRST_TUN_NAME,
        }))
      )
    )
  );
  return [...heartbeats, ...services];
}

/** The ports of a range; of a long one its ends. */
function portsOf({ from, to }: { readonly from: number; readonly to: number }): number[] {
  const count = to - from + 1;
  return count > PORTS_PER_RANGE_MAX ? [from, to] : Array.from({ length: count }, (_, i) => from + i);
}

/** One finding for each chain and kind of packet that it drops, or translates. */
export function firewallFindings(rules: FirewallRules, packets: readonly IncomingPacket[]): Finding[] {
  let tables: Table[];
  try {
    const ofIptables = [...rules.iptables].flatMap(([program, saved]) =>
      iptablesTables(saved, program, program.startsWith("ip6") ? 6 : 4)
    );
    // Today's iptables keeps its tables in nftables, and reads them better than nft does.
    const known = new Set(ofIptables.map(({ name }) => name.replace("tables ", " ")));
    const ofNft = rules.nft === undefined ? [] : nftTables(rules.nft);
    tables = [...ofNft.filter(({ name }) => !known.has(name)), ...ofIptables];
  } catch {
    return [{
      ok: "warning",
      what: "the firewall rules could not be read",
      remedy: "Look at them yourself: nft list ruleset.",
    }];
  }
  const dropped = new Map<string, Finding>(), translated = new Map<string, Finding>();
  let isUnsure = false;
  for (const packet of packets) {
    const outcomes = tables.flatMap((table) => {
      const outcome = judge(table, packet);
      return outcome === undefined ? [] : [{ table, ...outcome }];
    });
    // The kernel finds a TCP connection by its socket; UDP has none.
    const translation = packet.isForService && packet.protocol === "tcp"
      ? outcomes.find(({ verdict }) => verdict === "translate")
      : undefined;
    if (translation !== undefined) {
      const what =
        `the firewall chain ${translation.table.name} ${translation.chain} translates ${packet.what}: ` +
        "open connections are reset when their share moves";
      translated.set(what, { ok: "warning", what, remedy: TRANSLATION_REMEDY });
    }
    for (const { table, verdict, chain, isInput } of outcomes) {
      if (verdict === "unsure") isUnsure = true;
      // Which chains a translated packet meets, and under which port, is another question.
      if (verdict !== "drop" || isInput && translation !== undefined) continue;
      const what = `the firewall chain ${table.name} ${chain} drops ${packet.what} on ${packet.interface}`;
      dropped.set(what, { ok: "warning", what, remedy: table.remedy(chain, packet) });
    }
  }
  if (dropped.size > 0) return [...dropped.values(), ...translated.values()];
  const how = isUnsure ? ", as far as its rules can be judged" : "";
  const what = `the firewall drops neither heartbeats nor packets of the services${how}`;
  return [{ ok: true, what }, ...translated.values()];
}
