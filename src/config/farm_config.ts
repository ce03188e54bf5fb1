/** The configuration as the rest of the program sees it: checked, complete, in units that the names say. */
import { type IpAddress } from "../core/address.ts";
import { type ApplicationConfig, type NotifyConfig } from "./application_config.ts";
import { type ChecksConfig } from "./checks_config.ts";
import { type ListenAddress, type PortRange } from "./values.ts";

export type VirtualMacMode = "multicast" | "unicast";
export type Protocol = "tcp" | "udp";
export type AffinityName = "connection" | "client" | "network";
export type Uncovered = "drop" | "owner";

/** An address that the whole farm answers for. */
export interface VirtualIpConfig {
  readonly address: IpAddress;
  readonly mode: VirtualMacMode;
  /** As the file names it; `forNode` gives the name on one node. */
  readonly interface: string;
}

/** What the farm serves. Services are numbered from 1 in file order. */
export interface ServiceConfig {
  readonly name: string;
  readonly virtualIps: readonly IpAddress[];
  readonly protocol: Protocol;
  readonly ports: readonly PortRange[];
  readonly affinity: AffinityName;
  /** UDP only: how long a flow may be idle and still stays on its node; `undefined`: flows are not kept. */
  readonly flowTimeoutMs?: number;
  readonly weight: number;
}

export interface HeartbeatConfig {
  readonly intervalMs: number;
  /** Without `ipv4`, every interface uses IPv6; with it, those that have no IPv4 address. */
  readonly groups: { readonly ipv4: IpAddress | undefined; readonly ipv6: IpAddress };
  readonly port: number;
  readonly interfaces: readonly string[];
  /** Unicast addresses; empty where multicast is used. */
  readonly peers: readonly IpAddress[];
}

/** Settings of one node that differ from the farm's. */
export interface NodeSettings {
  readonly weight?: number;
  readonly interface?: string;
  readonly services: Readonly<Record<string, { readonly weight: number }>>;
}

/** Who must be in contact for a node to serve; the expected nodes are those of the section `nodes`. */
export type QuorumConfig =
  | { readonly kind: "off" }
  | { readonly kind: "majority" }
  | { readonly kind: "witness"; readonly address: IpAddress };

/** One farm, as its file says, the same on every node. */
export interface FarmConfig {
  readonly farm: string;
  /** Absolute, or relative to the working directory where the configuration's own path was. */
  readonly secretFile: string;
  readonly interface: string;
  readonly virtualIps: readonly VirtualIpConfig[];
  readonly services: readonly ServiceConfig[];
  readonly uncovered: Uncovered;
  readonly heartbeat: HeartbeatConfig;
  readonly nodes: Readonly<Record<string, NodeSettings>>;
  readonly quorum: QuorumConfig;
  readonly datapath: "tun";
  readonly drainOnStopMs: number;
  readonly checks: ChecksConfig;
  /** Absent: there is no application to start, stop and restart. */
  readonly application: ApplicationConfig | undefined;
  readonly notify: NotifyConfig | undefined;
  /** While there is such a file the node drains. */
  readonly maintenanceFile: string | undefined;
  /** Where a node keeps what must survive a restart. */
  readonly stateDir: string;
  readonly admin: {
    readonly listen: ListenAddress | undefined;
    readonly tokensFile?: string;
    readonly tls?: { readonly certificateFile: string; readonly keyFile: string };
  };
  /** SHA-256 in hexadecimal over everything above but the places of files: equal where the files say the same. */
  readonly digest: string;
  /**
   * Unsigned 32 bits over what all nodes must agree on before they may share buckets: virtual IPs with their modes,
   * and services with their order, protocol, ports and affinity. Weights may differ: every node announces its own.
   */
  readonly servicesDigest: number;
}

/** The configuration from the point of view of one node. */
export interface NodeConfig {
  readonly name: string;
  /** The main interface on this node. */
  readonly interface: string;
  readonly virtualIps: readonly VirtualIpConfig[];
  readonly heartbeatInterfaces: readonly string[];
  /** Weight by service number; index 0 is presence and always 1. */
  readonly weights: readonly number[];
}

/**
 * Where the addresses of a file would sit, as far as its values are valid: what the check against a host's interfaces
 * needs, and what a file with mistakes elsewhere still gives.
 */
export interface Placement {
  readonly interface: string | undefined;
  /** In file order; `undefined` where the address or its interface is not valid. */
  readonly virtualIps: ReadonlyArray<Pick<VirtualIpConfig, "address" | "interface"> | undefined>;
  readonly heartbeatInterfaces: readonly string[];
  /** What `interface` is called on the nodes where the name differs. */
  readonly nodeInterfaces: ReadonlyMap<string, string>;
}
