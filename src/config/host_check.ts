/**
 * The configuration against the interfaces of one host: would clients reach the virtual IPs there? Pure; the host
 * comes in as plain data, from `hostInterfaces()`, from netlink or from a test.
 */
import { addressFromBytes, inNetwork, type IpAddress, parseAddress, sameAddress } from "../core/address.ts";
import { type FarmConfig, type Placement } from "./farm_config.ts";
import { problemAt } from "./load.ts";
import { type Path, type Problem } from "./problem.ts";
import { isLinkLocal } from "./values.ts";

/** A network interface and its addresses, in text as the system writes them. */
export interface HostInterface {
  readonly name: string;
  readonly addresses: ReadonlyArray<{ readonly address: string; readonly prefixLength: number }>;
}

/** An address with the network around it. */
interface HostAddress {
  readonly interface: string;
  readonly address: IpAddress;
  readonly prefixLength: number;
}

/**
 * What keeps this configuration from working on this host as the node `nodeName`. A file with mistakes elsewhere can be
 * checked too, by its placement.
 * @param absent how bad an interface is that this host does not have: a warning for whoever checks the file on another
 * machine, an error for the node itself
 */
export function checkAgainstHost(
  config: FarmConfig | Placement,
  nodeName: string,
  hostInterfaces: readonly HostInterface[],
  absent: Problem["severity"] = "warning",
): Problem[] {
  const placement = "farm" in config ? placementOf(config) : config;
  const own = placement.nodeInterfaces.get(nodeName);
  const renamed = (name: string) => name === placement.interface ? own ?? name : name;
  const interfacePath = (name: string, otherwise: Path): Path =>
    name !== placement.interface
      ? otherwise
      : own === undefined
      ? ["interface"]
      : ["nodes", nodeName, "interface"];

  const problems: Problem[] = [];
  const present = new Set(hostInterfaces.map(({ name }) => name));
  const missing = new Set<string>();
  const isPresent = (name: string, path: Path) => {
    if (present.has(name)) return true;
    if (missing.has(name)) return false;
    missing.add(name);
    problems.push(problemAt(config, {
      path,
      message: `this host has no interface ${name}`,
      expected: present.size === 0
        ? "an interface of this host"
        : `one of ${[...present].join(", ")}; where one node differs, set nodes.${nodeName}.interface`,
      severity: absent,
    }));
    return false;
  };

  const addresses = hostInterfaces.flatMap(addressesOf);
  for (const [index, vip] of placement.virtualIps.entries()) {
    if (!vip) continue;
    const name = renamed(vip.interface);
    if (!isPresent(name, interfacePath(vip.interface, ["virtual_ips", index, "interface"]))) continue;
    const found = judge(vip.address, name, addresses);
    if (found) problems.push(problemAt(config, { path: ["virtual_ips", index, "address"], ...found }));
  }
  for (const [index, name] of placement.heartbeatInterfaces.entries()) {
    isPresent(renamed(name), interfacePath(name, ["heartbeat", "interfaces", index]));
  }
  return problems;
}

function placementOf(config: FarmConfig): Placement {
  return {
    interface: config.interface,
    virtualIps: config.virtualIps,
    heartbeatInterfaces: config.heartbeat.interfaces,
    nodeInterfaces: new Map(
      Object.entries(config.nodes).flatMap(([name, node]) =>
        node.interface === undefined ? [] : [[name, node.interface] as const]
      ),
    ),
  };
}

function judge(
  vip: IpAddress,
  interfaceName: string,
  addresses: readonly HostAddress[],
): { message: string; expected: string; severity: Problem["severity"] } | undefined {
  // A full-length prefix is an address without a network: normal on the farm's own device, wrong on these two.
  const networks = addresses.filter((each) => each.prefixLength < each.address.bytes.length * 8);
  const taken = addresses.find((each) =>
    sameAddress(each.address, vip) &&
    (networks.includes(each) || each.interface === interfaceName || each.interface === "lo")
  );
  if (taken) {
    return {
      message: `the virtual IP ${vip.text} is already an address of ${taken.interface} on this host`,
      expected:
        `another address, that no host has of its own (or, where it is left over and this host needs it no ` +
        `longer, first: ip address del ${vip.text}/${taken.prefixLength} dev ${taken.interface})`,
      severity: "error",
    };
  }
  const around = networks.filter((network) => inNetwork(vip, network.address, network.prefixLength));
  if (around.length === 0) {
    const own = networks.filter((network) =>
      network.interface === interfaceName && network.address.family === vip.family &&
      !isLinkLocal(network.address) // no place for a virtual IP
    );
    return {
      message: `the virtual IP ${vip.text} is in no network of this host`,
      expected: own.length === 0
        ? `a network around it on ${interfaceName}; give ${interfaceName} an address of the same network`
        : `a free address in ${
          own.map(format).join(" or ")
        }, or an address of its network on ${interfaceName}`,
      severity: "error",
    };
  }
  const edge = around.find((network) => isEdge(vip, network));
  if (edge) {
    return {
      message: `the virtual IP ${vip.text} is the network or broadcast address of ${format(edge)}`,
      expected: "an address between the two",
      severity: "error",
    };
  }
  if (around.every((network) => network.interface !== interfaceName)) {
    return {
      message: `the virtual IP ${vip.text} is in the network of ${
        around[0].interface
      }, not of ${interfaceName}`,
      expected: `interface: ${around[0].interface}, or an address of that network on ${interfaceName}`,
      severity: "warning",
    };
  }
  return undefined;
}

function addressesOf({ name, addresses }: HostInterface): HostAddress[] {
  return addresses.flatMap(({ address: text, prefixLength }) => {
    const address = parseAddress(text.replace(/%.*$/, ""));
    return address ? [{ interface: name, address, prefixLength }] : [];
  });
}

/** First or last address of an IPv4 network; a /31 has neither (RFC 3021). */
function isEdge(address: IpAddress, { prefixLength }: HostAddress): boolean {
  if (address.family === 6 || prefixLength >= 31) return false;
  const hostMask = 0xffff_ffff >>> prefixLength;
  const host = (new DataView(address.bytes.buffer, address.bytes.byteOffset).getUint32(0) & hostMask) >>> 0;
  return host === 0 || host === hostMask;
}

function format({ address, prefixLength }: HostAddress): string {
  const bytes = address.bytes.map((byte, i) =>
    byte & (0xff00 >> Math.min(8, Math.max(0, prefixLength - 8 * i)))
  );
  return `${addressFromBytes(bytes).text}/${prefixLength}`;
}
