/** From valid `checks` and `rules` to what runs: defaults that depend on other values, units, names. Pure. */
import { type IpAddress, parseAddress } from "../core/address.ts";
import { type CheckConfig, type ChecksConfig, type CheckTarget, type HttpTarget } from "./checks_config.ts";
import { type CheckEntry, type RuleEntry } from "./checks_schema.ts";
import { type ServiceConfig } from "./farm_config.ts";
import { read, unread } from "./read_checked.ts";
import { isRuleProblem, readRule } from "./rule_expression.ts";
import { parseDurationMs } from "./values.ts";

/** Ports of a check that names none. */
const PORT_DEFAULT = { http: 80, https: 443 } as const;
/** Failed runs that make a verdict where the file says nothing: the kernel does not err, a network may. */
const FALL_DEFAULT = 2;
const FALL_OF_KERNEL_FACTS = 1;
/** Parts of the interval. */
const TIMEOUT_PART = 4 / 5;
const WARM_UP_PART = 1 / 5;

/** What a file says beside its checks. */
export interface Surroundings {
  readonly services: readonly ServiceConfig[];
  readonly virtualIps: readonly IpAddress[];
  /** Path of a file that the configuration names. */
  file(path: string): string;
}

export function resolveChecks(
  checks: readonly CheckEntry[],
  rules: readonly RuleEntry[],
  around: Surroundings,
): ChecksConfig {
  const all = around.services.map(({ name }) => name);
  const names = checks.map(({ name }) => name);
  return {
    services: all,
    checks: checks.map((entry) => resolveCheck(entry, entry.services ?? all, around)),
    rules: rules.map((entry, index) => {
      const when = readRule(entry.when, names);
      if (isRuleProblem(when)) throw unread(entry.when);
      return {
        name: entry.name ?? `#${index + 1}`,
        when,
        action: entry.do,
        afterMs: ms(entry.after),
        services: entry.services ?? all,
        lastResort: entry.last_resort === "keep",
      };
    }),
  };
}

function resolveCheck(entry: CheckEntry, services: readonly string[], around: Surroundings): CheckConfig {
  const target = resolveTarget(entry, services, around);
  const intervalMs = ms(entry.interval);
  const kernelFact = target.kind === "process" || target.kind === "interface";
  return {
    name: entry.name,
    target,
    timing: {
      intervalMs,
      timeoutMs: entry.timeout === undefined ? Math.round(intervalMs * TIMEOUT_PART) : ms(entry.timeout),
      rise: entry.rise,
      fall: entry.fall ?? (kernelFact ? FALL_OF_KERNEL_FACTS : FALL_DEFAULT),
      startDelayMs: ms(entry.start_delay),
      warmUpMs: entry.warm_up === undefined ? Math.round(intervalMs * WARM_UP_PART) : ms(entry.warm_up),
    },
    services,
    onFailure: entry.on_failure,
    lastResort: entry.last_resort === "keep",
  };
}

function resolveTarget(entry: CheckEntry, services: readonly string[], around: Surroundings): CheckTarget {
  // The virtual IP is an address of this host: the kernel answers it here, as the application that listens on it or
  // on every address would for a client.
  const own = (text: string | undefined) =>
    text === undefined
      ? around.services.find(({ name }) => name === services[0])?.virtualIps[0] ?? around.virtualIps[0]
      : address(text);
  if (entry.tcp) return { kind: "tcp", address: own(entry.tcp.address), port: entry.tcp.port };
  if (entry.http) return { kind: "http", ...httpTarget(entry.http, "http", own) };
  if (entry.https) {
    return {
      kind: "https",
      ...httpTarget(entry.https, "https", own),
      serverName: entry.https.server_name,
      verify: entry.https.verify,
      caFile: entry.https.ca_file === undefined ? undefined : around.file(entry.https.ca_file),
    };
  }
  if (entry.ping) return { kind: "ping", address: address(entry.ping.address) };
  if (entry.interface) {
    return {
      kind: "interface",
      name: entry.interface.name,
      addresses: entry.interface.addresses.map(address),
    };
  }
  if (entry.process) {
    return {
      kind: "process",
      name: entry.process.name,
      arguments: entry.process.arguments,
      pidFile: entry.process.pid_file === undefined ? undefined : around.file(entry.process.pid_file),
      systemdUnit: entry.process.systemd_unit,
      atLeast: entry.process.at_least,
      atMost: entry.process.at_most,
    };
  }
  if (entry.exec) {
    return {
      kind: "exec",
      command: entry.exec.command,
      user: entry.exec.user,
      weightByExit: entry.exec.weight_by_exit,
    };
  }
  if (entry.dns) {
    const { server, port, name, type, expect } = entry.dns;
    return { kind: "dns", server: address(server), port, name, type, expect: expect.map(address) };
  }
  if (entry.udp) {
    const { send, send_hex, expect, expect_hex } = entry.udp;
    return {
      kind: "udp",
      address: own(entry.udp.address),
      port: entry.udp.port,
      send: bytes(send, send_hex),
      expect: bytes(expect, expect_hex),
    };
  }
  if (entry.farm) {
    const { members, gateway } = entry.farm;
    return { kind: "farm", members, gateway: gateway === undefined ? undefined : address(gateway) };
  }
  throw unread(entry.name);
}

function httpTarget(
  entry: NonNullable<CheckEntry["http"]>,
  kind: keyof typeof PORT_DEFAULT,
  own: (text: string | undefined) => IpAddress,
): HttpTarget {
  return {
    address: own(entry.address),
    port: entry.port ?? PORT_DEFAULT[kind],
    method: entry.method,
    path: entry.path,
    host: entry.host,
    status: entry.status.map((range) => {
      const [from, to = from] = String(range).split("-").map(Number);
      return { from, to };
    }),
    bodyContains: entry.body_contains,
    bodyMatches: entry.body_matches,
  };
}

function bytes(text: string | undefined, hex: string | undefined): Uint8Array {
  return hex === undefined ? new TextEncoder().encode(text ?? "") : Uint8Array.fromHex(hex);
}

function address(text: string): IpAddress {
  return read(text, parseAddress);
}

function ms(text: string): number {
  return read(text, parseDurationMs);
}
