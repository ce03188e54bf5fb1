/**
 * The configuration file, defined once. From this definition come the validation, the JSON Schema for editors
 * (`config/vipfarm.schema.json`), the comments of the starter file and the "did you mean" of unknown keys.
 *
 * The schema checks one value at a time and changes none. What needs two values at once (overlapping services,
 * unknown names) is in `semantic.ts`; what becomes of the values is in `resolve.ts`.
 */
import { z } from "zod";
import {
  MEMBERS_MAX,
  PORT_RANGES_MAX,
  SERVICES_MAX,
  VIRTUAL_IPS_MAX,
  WEIGHT_DEFAULT,
} from "../core/limits.ts";
import { application, maintenanceFile, notify, stateDir } from "./application_schema.ts";
import { checks, rules } from "./checks_schema.ts";
import {
  anyAddress,
  between,
  choice,
  duration,
  expectations,
  expecting,
  filePath,
  interfaceName,
  list,
  name,
  portNumber,
  section,
  someOf,
  unicastAddress,
  virtualIpAddress,
  weight,
} from "./schema_values.ts";
import { isPortRange, parsePorts, PORT_MAX, PORTS_PATTERN } from "./values.ts";

/** Values that a later version will take, by the dotted name of the key; today they are refused by name. */
export const LATER: Readonly<Record<string, readonly string[]>> = {
  mode: ["igmp", "directed"],
  datapath: ["ebpf"],
};

/** Heartbeat groups of a farm that names none. Administratively scoped IPv4 (RFC 2365), link-local IPv6. */
export const GROUP_DEFAULT = { ipv4: "239.255.86.70", ipv6: "ff02::5646" } as const;
export const HEARTBEAT_PORT_DEFAULT = 4886;
export const INTERVAL_DEFAULT = "100ms";
/** Below 10 ms the scheduler's own delays look like silence; above 10 s a failover takes close to a minute. */
export const INTERVAL_MS = { min: 10, max: 10_000 } as const;
/** Longest drain: a connection that is older than a day will not end by itself. */
export const DRAIN_MS_MAX = 24 * 3_600_000;
/** `flow_timeout`: shorter ones would not bridge the pauses of a flow, and longer ones keep what is dead. */
export const FLOW_TIMEOUT_MS = { min: 1_000, max: 3_600_000 };
/** Heartbeat interfaces: two are redundant, and every one costs a datagram per interval. */
const HEARTBEAT_INTERFACES_MAX = 8;

const virtualIp = section({
  address: virtualIpAddress().describe("IPv4 or IPv6 address that clients use"),
  mode: choice(["multicast", "unicast"]).default("multicast").describe(
    "kind of virtual MAC that every node receives: multicast (any switch floods it) or unicast (locally administered)",
  ),
  interface: interfaceName().optional().describe(
    "where clients reach this address; default: `interface` above",
  ),
});

const service = section({
  name: name().describe("name in status, metrics and explanations"),
  virtual_ip: expecting(
    z.union([unicastAddress(), z.array(unicastAddress()).min(1).max(VIRTUAL_IPS_MAX)]),
    "one of the addresses of virtual_ips, or a list of them",
  ).optional().describe("an address of virtual_ips, or a list of them; default: every one"),
  protocol: choice(["tcp", "udp"]).default("tcp").describe("tcp or udp"),
  ports: someOf(
    expecting(
      z.union([
        z.int().min(1).max(PORT_MAX),
        z.string().regex(PORTS_PATTERN).refine((text) => {
          const range = parsePorts(text);
          return range !== undefined && isPortRange(range);
        }),
      ]),
      `a port from 1 to ${PORT_MAX} or an ascending range such as 8000-8100`,
    ),
    PORT_RANGES_MAX,
    "ports or ranges, such as [80, 443, 8000-8100]",
  ).describe("ports and ascending ranges of them, such as [80, 443, 8000-8100]"),
  affinity: choice(["connection", "client", "network"]).default("connection").describe(
    "what stays together on one node: connection (client IP and port), client (client IP), network (client /24 or /64)",
  ),
  flow_timeout: duration("30s").optional().describe(
    "udp only: a flow that had packets within this time stays on its node when the farm changes, " +
      `${between(FLOW_TIMEOUT_MS)}; default: it moves at once`,
  ),
  weight: weight().default(WEIGHT_DEFAULT).describe("this service's default weight; 0 takes no new flows"),
});

const heartbeat = section({
  interval: duration("100ms").default(INTERVAL_DEFAULT).describe(
    `time between heartbeats, ${
      between(INTERVAL_MS)
    }; a node is suspected after 3 silent intervals and replaced after 5`,
  ),
  group: expecting(
    z.union([anyAddress(), z.array(anyAddress()).min(1).max(2)]),
    "a multicast address, or a list of one for IPv4 and one for IPv6",
  ).optional().describe(
    "multicast group, or one for IPv4 and one for IPv6 (used where an interface has no IPv4 address, and everywhere if " +
      `it is the only one); default: [${GROUP_DEFAULT.ipv4}, "${GROUP_DEFAULT.ipv6}"]`,
  ),
  port: portNumber().default(HEARTBEAT_PORT_DEFAULT).describe("UDP port of the heartbeats"),
  interfaces: someOf(interfaceName(), HEARTBEAT_INTERFACES_MAX, "interface names").optional().describe(
    "where heartbeats are sent and heard; default: the interfaces of the virtual IPs; more for redundancy",
  ),
  peers: list(unicastAddress(), MEMBERS_MAX, "unicast addresses").default([]).describe(
    "addresses of the nodes, on every heartbeat network, for networks without multicast; a node skips its own",
  ),
});

const quorum = expecting(
  z.union([
    z.enum(["off", "majority"]),
    section({
      witness: unicastAddress().describe("an address that answers pings, best the clients' router"),
    }),
  ]),
  "off, majority or { witness: ADDRESS }",
);

const node = section({
  weight: weight().optional().describe("weight of this node in every service that it does not name"),
  interface: interfaceName().optional().describe("what `interface` is called on this node"),
  services: expecting(
    z.record(name(), section({ weight: weight().describe("weight of this node in this service") })),
    "a mapping from service names to { weight: N }",
  ).optional().describe("per-service settings of this node"),
});

const adminTls = section({
  certificate: filePath("a certificate").describe("the certificate, and those that lead to its root, in PEM"),
  key: filePath("a private key").describe("its private key in PEM, mode 0600"),
});

const admin = section({
  listen: expecting(z.string().max(300), "an address and port, such as 127.0.0.1:9010 or [::1]:9010")
    .optional()
    .describe(
      "address and port of the admin API, console and metrics, such as 127.0.0.1:9010 or [::1]:9010; only loopback without " +
        "tokens_file; default: none, which leaves the local socket",
    ),
  tokens_file: filePath("a file with admin tokens").optional().describe(
    "file with the tokens that clients must show: vipfarm token",
  ),
  tls: adminTls.optional().describe(
    "HTTPS in place of HTTP; files that are replaced are taken up by themselves",
  ),
});

/** The whole file. */
export const farmFile = section({
  farm: name().describe("name of the farm; with the secret it separates farms on one LAN"),
  secret_file: filePath("the farm secret").describe(
    "file with at least 32 random bytes in base64, mode 0600, the same on every node: vipfarm keygen",
  ),
  interface: interfaceName().describe("network interface where clients reach the virtual IPs"),
  virtual_ips: someOf(virtualIp, VIRTUAL_IPS_MAX, "virtual IPs, such as [{ address: 192.0.2.100 }]").describe(
    "addresses that the whole farm answers for",
  ),
  services: list(service, SERVICES_MAX, "services").default([]).describe(
    "what the farm serves on them; the order must be the same on every node",
  ),
  uncovered: choice(["drop", "owner"]).default("drop").describe(
    "packets to a virtual IP that no service covers: drop, or owner (the client's node takes them)",
  ),
  heartbeat: heartbeat.optional().describe("how the nodes hear each other"),
  nodes: expecting(
    z.record(name(), node),
    `a mapping from node names to settings, at most ${MEMBERS_MAX}`,
  ).optional().describe("the expected nodes and what differs between them"),
  quorum: quorum.default("off").describe(
    "who must be in contact for a node to serve, in case the farm is cut in two: off (each side serves), majority (more " +
      "than half of `nodes`), or { witness: ADDRESS } (all of `nodes`, or else an address that answers pings)",
  ),
  datapath: choice(["tun"]).default("tun").describe("what decides per packet"),
  drain_on_stop: duration("30s").default("0s").describe(
    `how long a stopping node keeps its open connections before it leaves, ${
      between({ min: 0, max: DRAIN_MS_MAX })
    }; what is ` +
      "open then is cut",
  ),
  checks: checks.default([]).describe("what is looked at to know that this node can serve"),
  rules: rules.default([]).describe("what several checks together do"),
  application: application.optional().describe(
    "what the node starts, stops and restarts; without it an application is only checked, not looked after",
  ),
  notify: notify.optional().describe("who is told of what happens"),
  maintenance_file: maintenanceFile(),
  state_dir: stateDir(),
  admin: admin.optional().describe(
    "admin API over TCP; a local socket in the runtime directory is always there",
  ),
});

/** The file with the defaults filled in. */
export type FarmFileWithDefaults = z.output<typeof farmFile>;

/** JSON Schema of the file, in the dialect that editors' YAML support understands best. */
export function jsonSchema(): Record<string, unknown> {
  return {
    ...z.toJSONSchema(farmFile, { io: "input", target: "draft-07" }),
    title: "vipfarm configuration",
    description: "One file for the whole farm, the same on every node.",
  };
}

/** The schema beneath `optional()` and `default()`. */
function unwrapped(schema: z.ZodType): z.ZodType {
  let inner = schema;
  while (inner instanceof z.ZodOptional || inner instanceof z.ZodDefault) inner = inner.unwrap() as z.ZodType;
  return inner;
}

/** The schema of the value at `path`, without its `optional()`; `undefined` where the file has no such key. */
export function schemaAt(path: readonly PropertyKey[]): z.ZodType | undefined {
  let schema: z.ZodType | undefined = farmFile;
  for (const key of path) {
    const container: z.ZodType = unwrapped(schema);
    const alternatives = container instanceof z.ZodUnion ? container.options as z.ZodType[] : [container];
    const array = alternatives.find((each) => each instanceof z.ZodArray);
    if (container instanceof z.ZodObject) {
      schema = Object.hasOwn(container.shape, key)
        ? (container.shape as z.ZodRawShape)[String(key)] as z.ZodType
        : undefined;
    } else if (container instanceof z.ZodRecord) schema = container.valueType as z.ZodType;
    else if (array instanceof z.ZodArray) schema = array.element as z.ZodType;
    else schema = undefined;
    if (!schema) return undefined;
  }
  return unwrapped(schema);
}

/** What was expected at `path`, from the nearest schema on the way there that says it. */
export function expectedAt(path: readonly PropertyKey[]): string {
  for (let length = path.length; length >= 0; length--) {
    const schema = schemaAt(path.slice(0, length));
    const expected = schema && expectations.get(schema)?.expected;
    if (expected) return expected;
  }
  return "another value";
}

/** The keys of the mapping at `path`; empty where the keys are free. */
export function keysAt(path: readonly PropertyKey[]): string[] {
  const schema = schemaAt(path);
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
}

/** The description of a key, such as `["heartbeat", "interval"]`; the elements of a list are `0`. */
export function descriptionAt(path: readonly PropertyKey[]): string {
  const parent = schemaAt(path.slice(0, -1));
  const key = String(path.at(-1));
  if (!(parent instanceof z.ZodObject) || !Object.hasOwn(parent.shape, key)) return "";
  return (parent.shape as Record<string, z.ZodType>)[key].description ?? "";
}
