/**
 * What needs more than one value to judge: overlaps, unknown names, bounds with units. Works on a file of which some
 * values are already known to be wrong and passes over those, so that one run finds every problem.
 */
import { parseAddress } from "../core/address.ts";
import { MEMBERS_MAX } from "../core/limits.ts";
import { checkApplication, checkNotify } from "./application_semantic.ts";
import { checkChecks } from "./checks_semantic.ts";
import { formatPath, formatValue, type Path, type Report } from "./problem.ts";
import { DRAIN_MS_MAX, FLOW_TIMEOUT_MS, INTERVAL_MS } from "./schema.ts";
import {
  addressAt,
  checkDuration,
  expectedName,
  items,
  keys,
  name,
  reportRepeated,
  type ValidValues,
} from "./semantic_values.ts";
import {
  formatPorts,
  isLinkLocal,
  isLoopback,
  isMulticast,
  isPortRange,
  parseListen,
  parsePorts,
  type PortRange,
} from "./values.ts";

interface SeenService {
  readonly path: Path;
  readonly name: string;
  /** `undefined` if it was refused. */
  readonly protocol: unknown;
  /** Texts of its virtual IPs. */
  readonly vips: readonly string[];
  readonly ports: ReadonlyArray<{ path: Path; range: PortRange }>;
}

/** Reports every problem that involves more than one value. */
export function checkMeaning(values: ValidValues, report: Report): void {
  const vips = checkVirtualIps(values, report);
  const serviceNames = checkServices(values, vips, report);
  checkHeartbeat(values, vips, report);
  checkNodes(values, serviceNames, report);
  checkQuorum(values, vips, report);
  checkAdmin(values, report);
  checkChecks(values, serviceNames, report);
  checkApplication(values, report);
  checkNotify(values, report);
  checkDuration(values, report, ["drain_on_stop"], 0, DRAIN_MS_MAX);
}

/** @returns the texts of the valid addresses */
function checkVirtualIps(values: ValidValues, report: Report): string[] {
  const entries = items(values, ["virtual_ips"]).map((path) => [...path, "address"]);
  reportRepeated(values, report, entries, "virtual IP", (text) => parseAddress(text)?.text);
  return [
    ...new Set(entries.map((path) => addressAt(values, path)?.text).filter((text) => text !== undefined)),
  ];
}

/** @returns the valid service names */
function checkServices(values: ValidValues, vips: readonly string[], report: Report): string[] {
  const paths = items(values, ["services"]);
  const isKnown = !values.refused(["services"]) && !values.refused(["uncovered"]);
  if (paths.length === 0 && isKnown && values.get(["uncovered"]) !== "owner") {
    report({
      path: ["services"],
      atKey: true,
      message: "there is no service, and `uncovered` drops everything else: the farm would answer pings only",
      expected: "at least one service, or `uncovered: owner`",
    });
  }
  reportRepeated(values, report, paths.map((path) => [...path, "name"]), "service", (text) => text);

  const seen: SeenService[] = [];
  for (const path of paths) {
    const service = readService(values, path, vips, report);
    for (const earlier of seen) reportOverlap(values, report, earlier, service);
    seen.push(service);
  }
  return [...new Set(seen.map(({ name }) => name))];
}

function readService(values: ValidValues, path: Path, vips: readonly string[], report: Report): SeenService {
  const vipPath = [...path, "virtual_ip"];
  const named = items(values, vipPath);
  const vipPaths = named.length > 0 ? named : [vipPath];
  let ownVips: readonly string[] = vips;
  if (values.get(vipPath) !== undefined) {
    reportRepeated(
      values,
      report,
      vipPaths,
      "virtual IP of this service",
      (text) => parseAddress(text)?.text,
    );
    const texts = vipPaths.map((each) => ({ path: each, text: addressAt(values, each)?.text }));
    for (const { path: at, text } of texts) {
      if (text === undefined || vips.includes(text)) continue;
      report({
        path: at,
        message: `${name(at)} is ${text}, which is not in virtual_ips`,
        expected: vips.length === 0 ? "an address that virtual_ips lists" : `one of ${vips.join(", ")}`,
      });
    }
    ownVips = texts.map(({ text }) => text).filter((text) => text !== undefined);
  }

  const ports: Array<{ path: Path; range: PortRange }> = [];
  for (const at of items(values, [...path, "ports"])) {
    const value = values.get(at);
    const range = typeof value === "number" || typeof value === "string" ? parsePorts(value) : undefined;
    if (!range || !isPortRange(range)) continue;
    const twice = ports.find((other) => overlap(other.range, range));
    if (twice) {
      report({
        path: at,
        message: `${name(at)} (${formatPorts(range)}) repeats ports of ${formatPorts(twice.range)} before it`,
        expected: "every port once",
      });
    }
    ports.push({ path: at, range });
  }
  checkFlowTimeout(values, path, report);
  const serviceName = values.get([...path, "name"]);
  return {
    path,
    name: typeof serviceName === "string" ? serviceName : formatPath(path),
    protocol: values.refused([...path, "protocol"]) ? undefined : values.get([...path, "protocol"]) ?? "tcp",
    vips: ownVips,
    ports,
  };
}

/** The kernel knows TCP's connections better than any timeout does. */
function checkFlowTimeout(values: ValidValues, path: Path, report: Report): void {
  const at = [...path, "flow_timeout"];
  if (values.get(at) === undefined) return;
  checkDuration(values, report, at, FLOW_TIMEOUT_MS.min, FLOW_TIMEOUT_MS.max);
  if (values.refused([...path, "protocol"]) || values.get([...path, "protocol"]) === "udp") return;
  report({
    path: at,
    atKey: true,
    message: `${name(at)} is for udp: a TCP connection stays on its node as long as it is open`,
    expected: "no `flow_timeout` here, or `protocol: udp`",
  });
}

function reportOverlap(values: ValidValues, report: Report, a: SeenService, b: SeenService): void {
  if (a.protocol === undefined || a.protocol !== b.protocol) return;
  const vip = a.vips.find((text) => b.vips.includes(text));
  if (vip === undefined) return;
  for (const mine of b.ports) {
    const theirs = a.ports.find((other) => overlap(other.range, mine.range));
    if (!theirs) continue;
    const shared = {
      from: Math.max(theirs.range.from, mine.range.from),
      to: Math.min(theirs.range.to, mine.range.to),
    };
    report({
      path: mine.path,
      message:
        `services ${formatValue(a.name)} (line ${values.line(theirs.path)}) and ${formatValue(b.name)} ` +
        `(line ${values.line(mine.path)}) overlap: both take ${String(a.protocol)} port ${
          formatPorts(shared)
        } ` +
        `of ${vip}`,
      expected: "every port of a virtual IP in one service; take it out of one of the two",
    });
  }
}

function checkHeartbeat(values: ValidValues, vips: readonly string[], report: Report): void {
  checkDuration(values, report, ["heartbeat", "interval"], INTERVAL_MS.min, INTERVAL_MS.max);

  const groupPath = ["heartbeat", "group"];
  const listed = items(values, groupPath);
  const families = new Map<4 | 6, string>();
  for (const path of listed.length > 0 ? listed : [groupPath]) {
    const address = addressAt(values, path);
    if (!address) continue;
    if (!isMulticast(address)) {
      report({
        path,
        message: `${name(path)} is ${address.text}, which is not a multicast address`,
        expected:
          "one of 224.0.0.0 to 239.255.255.255 or ff00::/8; unicast addresses belong in heartbeat.peers",
      });
    } else if (families.has(address.family)) {
      report({
        path,
        message: `${name(path)} is a second IPv${address.family} group besides ${
          families.get(address.family)
        }`,
        expected: "at most one group for IPv4 and one for IPv6",
      });
    }
    families.set(address.family, address.text);
  }

  reportRepeated(
    values,
    report,
    items(values, ["heartbeat", "interfaces"]),
    "heartbeat interface",
    (text) => text,
  );
  const peers = items(values, ["heartbeat", "peers"]);
  reportRepeated(values, report, peers, "peer", (text) => parseAddress(text)?.text);
  for (const path of peers) {
    const text = addressAt(values, path)?.text;
    if (text === undefined || !vips.includes(text)) continue;
    report({
      path,
      message: `${name(path)} is the virtual IP ${text}, which every node has`,
      expected: "an address that only one node has",
    });
  }
}

function checkNodes(values: ValidValues, serviceNames: readonly string[], report: Report): void {
  const nodes = keys(values, ["nodes"]);
  if (nodes.length > MEMBERS_MAX) {
    report({
      path: ["nodes"],
      atKey: true,
      message: `${nodes.length} nodes are listed`,
      expected: `at most ${MEMBERS_MAX}`,
    });
  }
  for (const node of nodes) {
    for (const service of keys(values, ["nodes", node, "services"])) {
      if (serviceNames.includes(service)) continue;
      report({
        path: ["nodes", node, "services", service],
        atKey: true,
        message: `node ${formatValue(node)} names the unknown service ${formatValue(service)}`,
        expected: expectedName("a service", service, serviceNames),
      });
    }
  }
}

function checkQuorum(values: ValidValues, vips: readonly string[], report: Report): void {
  const path = ["quorum"];
  const nodes = keys(values, ["nodes"]);
  if (values.get(path) === "majority" && !values.refused(["nodes"])) {
    if (nodes.length === 0) {
      report({
        path,
        message: "`quorum` asks for a majority of `nodes`, and no node is listed",
        expected: "every node of the farm in `nodes`, such as { n1: {}, n2: {}, n3: {} }",
      });
    } else if (nodes.length === 2) {
      report({
        path,
        message:
          "`quorum` asks for a majority of two nodes, which is both: the farm stops when one of them fails",
        expected: "a third node, or { witness: ADDRESS }",
        severity: "warning",
      });
    }
  }
  const witnessPath = ["quorum", "witness"];
  const witness = addressAt(values, witnessPath);
  if (witness === undefined) return;
  if (vips.includes(witness.text)) {
    report({
      path: witnessPath,
      message: `${name(witnessPath)} is the virtual IP ${witness.text}, which every node has`,
      expected: "an address that no node of the farm has",
    });
  } else if (isLinkLocal(witness)) {
    report({
      path: witnessPath,
      message: `${name(witnessPath)} is ${witness.text}, which says nothing without an interface`,
      expected: "an address that is no link-local one",
    });
  }
}

function checkAdmin(values: ValidValues, report: Report): void {
  const path = ["admin", "listen"];
  const text = values.get(path);
  if (typeof text !== "string") return;
  const listen = parseListen(text);
  if (!listen) {
    report({
      path,
      message: `${name(path)} is ${formatValue(text)}`,
      expected: "an IP address and a port from 1 to 65535, such as 127.0.0.1:9010 or [::1]:9010",
    });
    return;
  }
  const host = parseAddress(listen.host);
  if (host && !isLoopback(host) && values.get(["admin", "tokens_file"]) === undefined) {
    report({
      path,
      message: `${name(path)} is ${text}, open to the network without tokens`,
      expected: "a loopback address such as 127.0.0.1, or admin.tokens_file beside it",
    });
  } else if (host && !isLoopback(host) && values.get(["admin", "tls", "key"]) === undefined) {
    report({
      path,
      severity: "warning",
      message: `tokens travel to ${name(path)}, ${text}, in clear text`,
      expected: "admin.tls beside it, or a network that nobody else listens on",
    });
  }
}

function overlap(a: PortRange, b: PortRange): boolean {
  return a.from <= b.to && b.from <= a.to;
}
