/** From a valid file to {@link FarmConfig}, and from that to what one node does. Pure. */
import { createHash } from "node:crypto";
import { dirname, isAbsolute, join } from "node:path";
import { type IpAddress, parseAddress } from "../core/address.ts";
import { EXIT, VipfarmError } from "../core/errors.ts";
import { NAME_LENGTH_MAX } from "../core/limits.ts";
import { readApplication, readNotify } from "./application_config.ts";
import { resolveChecks } from "./checks_resolve.ts";
import { type FarmConfig, type NodeConfig, type NodeSettings } from "./farm_config.ts";
import { read } from "./read_checked.ts";
import {
  type FarmFileWithDefaults,
  GROUP_DEFAULT,
  HEARTBEAT_PORT_DEFAULT,
  INTERVAL_DEFAULT,
} from "./schema.ts";
import { NAME_PATTERN, parseDurationMs, parseListen, parsePorts } from "./values.ts";

/**
 * The configuration that a checked file stands for.
 * @param file name of the file, for paths in it that are relative to it
 * @throws VipfarmError if a value passed the checks that cannot be read: a fault of the program, not of the file
 */
export function resolveConfig(content: FarmFileWithDefaults, file: string): FarmConfig {
  const virtualIps = content.virtual_ips.map((each) => ({
    address: read(each.address, parseAddress),
    mode: each.mode,
    interface: each.interface ?? content.interface,
  }));
  const services = content.services.map((each) => ({
    name: each.name,
    virtualIps: each.virtual_ip === undefined
      ? virtualIps.map(({ address }) => address)
      : [each.virtual_ip].flat().map((text) => read(text, parseAddress)),
    protocol: each.protocol,
    ports: each.ports.map((ports) => read(ports, parsePorts)),
    affinity: each.affinity,
    ...(each.flow_timeout !== undefined && { flowTimeoutMs: read(each.flow_timeout, parseDurationMs) }),
    weight: each.weight,
  }));
  const heartbeat = content.heartbeat;
  const groups = [heartbeat?.group ?? []].flat().map((text) => read(text, parseAddress));
  const groupOf = (family: 4 | 6) => groups.find((each) => each.family === family);
  const ipv6Only = groupOf(6) !== undefined && groupOf(4) === undefined;
  const nodes: Record<string, NodeSettings> = {};
  for (const [name, node] of Object.entries(content.nodes ?? {})) {
    nodes[name] = { ...node, services: node.services ?? {} };
  }

  const portable = {
    farm: content.farm,
    interface: content.interface,
    virtualIps,
    services,
    uncovered: content.uncovered,
    heartbeat: {
      intervalMs: read(heartbeat?.interval ?? INTERVAL_DEFAULT, parseDurationMs),
      groups: {
        ipv4: ipv6Only ? undefined : groupOf(4) ?? read(GROUP_DEFAULT.ipv4, parseAddress),
        ipv6: groupOf(6) ?? read(GROUP_DEFAULT.ipv6, parseAddress),
      },
      port: heartbeat?.port ?? HEARTBEAT_PORT_DEFAULT,
      interfaces: heartbeat?.interfaces ?? [...new Set(virtualIps.map((each) => each.interface))],
      peers: (heartbeat?.peers ?? []).map((text) => read(text, parseAddress)),
    },
    nodes,
    quorum: typeof content.quorum === "string"
      ? { kind: content.quorum }
      : { kind: "witness" as const, address: read(content.quorum.witness, parseAddress) },
    datapath: content.datapath,
    drainOnStopMs: read(content.drain_on_stop, parseDurationMs),
    checks: resolveChecks(content.checks, content.rules, {
      services,
      virtualIps: virtualIps.map(({ address }) => address),
      file: (path) => besideFile(file, path),
    }),
    application: readApplication(content.application, (path) => besideFile(file, path)),
    notify: readNotify(content.notify, (path) => besideFile(file, path)),
    maintenanceFile: content.maintenance_file === false
      ? undefined
      : besideFile(file, content.maintenance_file),
    stateDir: besideFile(file, content.state_dir),
  };
  // Places of files may differ from node to node.
  const { stateDir: _stateDir, maintenanceFile: _maintenanceFile, ...same } = portable;
  const written = {
    ...same,
    checks: [content.checks, content.rules],
    application: content.application,
    notify: content.notify,
  };
  const listen = content.admin?.listen === undefined ? undefined : read(content.admin.listen, parseListen);
  const { tokens_file: tokensFile, tls } = content.admin ?? {};
  const agreed = {
    virtualIps: virtualIps.map(({ address, mode }) => ({ address, mode })),
    services: services.map(({ weight: _weight, ...rest }) => rest),
  };
  return {
    ...portable,
    secretFile: besideFile(file, content.secret_file),
    admin: {
      listen,
      ...(tokensFile !== undefined && { tokensFile: besideFile(file, tokensFile) }),
      ...(tls !== undefined && {
        tls: { certificateFile: besideFile(file, tls.certificate), keyFile: besideFile(file, tls.key) },
      }),
    },
    digest: sha256(canonical({ ...written, listen })).toHex(),
    servicesDigest: new DataView(sha256(canonical(agreed)).buffer).getUint32(0),
  };
}

/** A path in the configuration file `file`, where relative ones start. */
export function besideFile(file: string, path: string): string {
  return isAbsolute(path) ? path : join(dirname(file), path);
}

/** What the node `name` does: its interfaces and its weight in every service. A node need not be in `nodes`. */
export function forNode(config: FarmConfig, name: string): NodeConfig {
  if (!NAME_PATTERN.test(name)) {
    throw new VipfarmError({
      operation: "choose node name",
      problem: `a node name is 1 to ${NAME_LENGTH_MAX} letters, digits, dots, underscores or hyphens`,
      value: JSON.stringify(name.slice(0, 2 * NAME_LENGTH_MAX)),
      remedy: "Give one with --node NAME or in VIPFARM_NODE.",
      exitCode: EXIT.usage,
    });
  }
  const settings = nodeSettings(config, name);
  const own = settings?.interface ?? config.interface;
  const renamed = (each: string) => each === config.interface ? own : each;
  return {
    name,
    interface: own,
    virtualIps: config.virtualIps.map((each) => ({ ...each, interface: renamed(each.interface) })),
    heartbeatInterfaces: config.heartbeat.interfaces.map(renamed),
    weights: weightsOf(config, name),
  };
}

/**
 * Weights of a node by service number, index 0 (presence) being 1.
 * @param nodeWeight takes the place of the node's `weight` in the file (`vipfarm weight NODE N`)
 */
export function weightsOf(config: FarmConfig, name: string, nodeWeight?: number): number[] {
  const settings = nodeSettings(config, name);
  const weight = nodeWeight ?? settings?.weight;
  return [
    1,
    ...config.services.map((service) => {
      const own = settings && Object.hasOwn(settings.services, service.name)
        ? settings.services[service.name].weight
        : undefined;
      return own ?? weight ?? service.weight;
    }),
  ];
}

function nodeSettings(config: FarmConfig, name: string): NodeSettings | undefined {
  return Object.hasOwn(config.nodes, name) ? config.nodes[name] : undefined;
}

/** JSON with sorted keys and addresses as text: the same text for the same meaning. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, each: unknown) => {
    if (typeof each !== "object" || each === null || Array.isArray(each)) return each;
    if (isAddress(each)) return each.text;
    return Object.fromEntries(Object.entries(each).sort(([a], [b]) => a < b ? -1 : 1));
  });
}

function isAddress(value: object): value is IpAddress {
  return "bytes" in value && "text" in value;
}

function sha256(text: string): Uint8Array {
  return Uint8Array.from(createHash("sha256").update(text).digest());
}
