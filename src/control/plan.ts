/** From the configuration to what the packet threads start from. */
import { type FarmConfig, type NodeConfig, type ServiceConfig } from "../config/load.ts";
import { type PublishedTable } from "../dataplane/claims_publisher.ts";
import { type PlannedService, type PlannedVip } from "../dataplane/plan.ts";
import { addressFromBytes, inNetwork } from "../core/address.ts";
import { type QuorumRule } from "../membership/quorum.ts";
import { AFFINITY } from "../ownership/flow_hash.ts";
import { virtualMac } from "../wire/ethernet.ts";
import { lanProbeFrame } from "../wire/lan_probe.ts";

/** The virtual IPs of one interface of this node, or of all of them. */
export function planVips(node: NodeConfig, interfaceName?: string): PlannedVip[] {
  return node.virtualIps
    .filter((vip) => interfaceName === undefined || vip.interface === interfaceName)
    .map(({ address, mode }) => ({
      address: address.bytes,
      mac: virtualMac(address, mode),
      macIsMulticast: mode === "multicast",
    }));
}

/**
 * The probe of the LAN for each virtual IP, from the interface's address in its network, or any of its family. Where there
 * is none, from the unspecified address: that it comes is all that counts, and the others expect one.
 */
export function planProbes(
  vips: readonly PlannedVip[],
  port: number,
  sourceMac: Uint8Array,
  addresses: ReadonlyArray<{ readonly address: Uint8Array; readonly prefixLength: number }>,
): Uint8Array[] {
  return vips.map(({ address: virtualIp, mac }) => {
    const ofFamily = addresses.filter(({ address }) => address.length === virtualIp.length);
    const onLink = ofFamily.find(({ address, prefixLength }) =>
      inNetwork(addressFromBytes(virtualIp), addressFromBytes(address), prefixLength)
    );
    const source = (onLink ?? ofFamily[0])?.address ?? new Uint8Array(virtualIp.length);
    return lanProbeFrame({ virtualIp, virtualMac: mac, source, sourceMac, port });
  });
}

/** All services in file order, since that numbers them, each with the virtual IPs among `vips` that it covers. */
export function planServices(
  services: readonly ServiceConfig[],
  vips: readonly PlannedVip[],
): PlannedService[] {
  return services.map(({ protocol, ports, affinity, flowTimeoutMs, virtualIps }) => ({
    protocol,
    ports: ports.map(({ from, to }) => ({ from, to })),
    affinity: AFFINITY[affinity],
    flowTimeoutMs,
    vips: vips.flatMap(({ address }, index) =>
      virtualIps.some(({ bytes }) => sameBytes(bytes, address)) ? [index] : []
    ),
  }));
}

/** The tables of the membership thread: presence, then one for each service. */
export function planTables(services: readonly ServiceConfig[]): PublishedTable[] {
  return [
    { keepsConnections: false },
    ...services.map(({ protocol, flowTimeoutMs }) => ({
      keepsConnections: protocol === "tcp" || flowTimeoutMs !== undefined,
      flows: flowTimeoutMs !== undefined,
    })),
  ];
}

/** What the membership asks for before a node serves; `undefined`: nothing. */
export function planQuorum({ quorum, nodes }: FarmConfig): QuorumRule | undefined {
  if (quorum.kind === "off") return undefined;
  const expected = Object.keys(nodes).sort();
  return quorum.kind === "majority"
    ? { kind: "majority", expected }
    : { kind: "witness", address: quorum.address.text, expected };
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
