/** SafeKit's `<vip>`: virtual IPs, load-balancing groups and the nodes' powers. */
import { parseAddress } from "../core/address.ts";
import { NAME_LENGTH_MAX, WEIGHT_DEFAULT, WEIGHT_MAX } from "../core/limits.ts";
import { PORT_MAX } from "../config/values.ts";
import { type ImportNotes } from "./notes.ts";
import { elementsNamed, type XmlElement } from "./userconfig.ts";

export interface ImportedService {
  name: string;
  virtual_ip?: string;
  protocol: "tcp" | "udp";
  ports: Array<number | string>;
  affinity: "connection" | "client";
}

export interface ImportedVip {
  virtual_ips: Array<{ address: string; mode: "multicast" | "unicast" }>;
  services: ImportedService[];
  nodes: Record<string, { services: Record<string, { weight: number }> }>;
}

/** Above this ratio SafeKit's powers are a chain of priorities: its bitmap has 256 bits. */
const PRIORITY_RATIO = 64;

export function importVip(service: XmlElement, notes: ImportNotes): ImportedVip {
  const vip = elementsNamed(service, "vip")[0];
  const imported: ImportedVip = { virtual_ips: [], services: [], nodes: {} };
  if (vip === undefined) return imported;
  if (vip.attributes.scriptcontrol === "on") {
    notes.untranslated(
      "virtual_ips",
      vip.line,
      'scriptcontrol="on" has no counterpart: a node takes new flows when its application is up and its checks are good.',
    );
  }
  importVirtualIps(vip, imported, notes);
  for (const group of elementsNamed(vip, "group")) importGroup(group, imported, notes);
  spreadWildcards(imported.services);
  leaveOutOthers(imported);
  return imported;
}

/** A group whose cluster names some of the nodes is not for the others. */
function leaveOutOthers({ nodes }: ImportedVip): void {
  const limited = new Set(Object.values(nodes).flatMap(({ services }) => Object.keys(services)));
  for (const { services } of Object.values(nodes)) {
    for (const name of limited) services[name] ??= { weight: 0 };
  }
}

function importVirtualIps(vip: XmlElement, imported: ImportedVip, notes: ImportNotes): void {
  for (const outer of elementsNamed(vip, "virtual_interface")) {
    const { type = "vmac_directed", addr } = outer.attributes;
    for (const { attributes, line } of elementsNamed(outer, "virtual_addr")) {
      const address = parseAddress(attributes.addr ?? "");
      if (address === undefined) {
        notes.untranslated(
          "virtual_ips",
          line,
          `the virtual IP ${attributes.addr} is a name: give its address under virtual_ips.`,
        );
        continue;
      }
      if (imported.virtual_ips.some((each) => each.address === address.text)) continue;
      imported.virtual_ips.push({
        address: address.text,
        mode: type === "vmac_invisible" ? "unicast" : "multicast",
      });
    }
    if (type === "vmac_directed") {
      notes.changed(
        "virtual_ips",
        outer.line,
        "vmac_directed gave clients one node's own MAC. Here the virtual IP has a virtual MAC that every node receives: " +
          "the switch must deliver it to all of them.",
      );
    }
    if (addr !== undefined) {
      notes.changed(
        "virtual_ips",
        outer.line,
        `the MAC ${addr} is not kept: the virtual MAC follows from the virtual IP.`,
      );
    }
  }
  for (const { line } of elementsNamed(vip, "real_interface")) {
    notes.untranslated(
      "virtual_ips",
      line,
      "<real_interface> belongs to a mirror module: one node at a time has the address.",
    );
  }
  for (const { attributes, line } of elementsNamed(vip, "interface")) {
    if (attributes.arpreroute === "on") {
      notes.changed(
        "virtual_ips",
        line,
        "arpreroute is not needed: the virtual MAC stays the same after a failure.",
      );
    }
  }
}

function importGroup(group: XmlElement, imported: ImportedVip, notes: ImportNotes): void {
  const byKind = new Map<string, ImportedService>();
  for (const { attributes, line } of elementsNamed(group, "rule")) {
    const { proto, port = "*", filter, virtual_addr: vip = "*" } = attributes;
    if (proto === "arp") continue; // The owner of the asker answers, always.
    if (proto !== "tcp" && proto !== "udp") {
      notes.untranslated("services", line, `a rule for proto="${proto}" has no counterpart.`);
      continue;
    }
    if (port !== "*" && !/^\d{1,5}$/.test(port)) {
      notes.untranslated("services", line, `the port "${port}" is no number.`);
      continue;
    }
    if (filter === "on_ipid") {
      notes.changed(
        "services",
        line,
        "on_ipid spread the datagrams of one client over the nodes; here affinity connection spreads its ports.",
      );
    }
    const affinity = filter === "on_addr" ? "client" : "connection";
    const address = vip === "*" ? undefined : parseAddress(vip)?.text;
    if (vip !== "*" && address === undefined) {
      notes.untranslated(
        "services",
        line,
        `the rule is for ${vip}, which is a name: write its address as virtual_ip.`,
      );
      continue;
    }
    const kind = `${proto} ${affinity} ${address}`;
    const value = port === "*" ? "*" : Number(port);
    const known = byKind.get(kind);
    if (known !== undefined) {
      if (!known.ports.includes(value)) known.ports.push(value);
      continue;
    }
    const added: ImportedService = {
      name: serviceName(group.attributes.name ?? "farm", [proto, affinity], imported.services),
      ...(address !== undefined && { virtual_ip: address }),
      protocol: proto,
      ports: [value],
      affinity,
    };
    byKind.set(kind, added);
    imported.services.push(added);
  }
  importPowers(group, [...byKind.values()].map(({ name }) => name), imported, notes);
}

/** The group's name; the second service of a group gets what is different in its name too. */
function serviceName(group: string, kind: readonly string[], others: readonly ImportedService[]): string {
  const plain = group.replaceAll(/[^A-Za-z0-9._-]/g, "-").slice(0, NAME_LENGTH_MAX - 24) || "farm";
  const candidates = [plain, `${plain}-${kind[0]}`, `${plain}-${kind.join("-")}`];
  const taken = (name: string) => others.some((each) => each.name === name);
  const free = candidates.find((name) => !taken(name));
  if (free !== undefined) return free;
  for (let number = 2;; number++) {
    if (!taken(`${plain}-${number}`)) return `${plain}-${number}`;
  }
}

function importPowers(
  group: XmlElement,
  services: readonly string[],
  imported: ImportedVip,
  notes: ImportNotes,
): void {
  const hosts = elementsNamed(group, "host").map(({ attributes, line }) => ({
    name: attributes.name ?? "",
    power: Number(attributes.power ?? "1"),
    line,
  }));
  if (hosts.length === 0) return;
  notes.changed(
    "nodes",
    hosts[0].line,
    "<cluster> limits a group to the nodes that it names. Nodes that another group names have weight 0 for it here; a node that " +
      "no group names would have the service's weight: give it weight 0.",
  );
  const powers = hosts.map(({ power }) => power).filter(isPower);
  const most = Math.max(...powers);
  const least = Math.min(...powers.filter((power) => power > 0));
  // Power 1 becomes the default weight, as long as all fit.
  const unit = Math.min(WEIGHT_DEFAULT, WEIGHT_MAX / most);
  if (most / least >= PRIORITY_RATIO) {
    notes.changed(
      "nodes",
      hosts[0].line,
      `powers as far apart as ${least} and ${most} make priorities in SafeKit; weights share in proportion, and there is ` +
        "no chain of priorities. A node with weight 0 takes nothing, whoever fails.",
    );
  }
  for (const { name, power, line } of hosts) {
    if (!isPower(power)) {
      notes.untranslated("nodes", line, `the power of ${name} is no number.`);
      continue;
    }
    const weight = power === 0 ? 0 : Math.max(1, Math.round(power * unit));
    imported.nodes[name] ??= { services: {} };
    for (const service of services) imported.nodes[name].services[service] = { weight };
  }
}

function isPower(power: number): boolean {
  return Number.isFinite(power) && power >= 0;
}

/** A rule for every port becomes the ports that no other rule of the same protocol and address names. */
function spreadWildcards(services: ImportedService[]): void {
  for (const service of services.filter(({ ports }) => ports.includes("*"))) {
    const beside = services.filter((other) =>
      other.protocol === service.protocol &&
      (other.virtual_ip === undefined || service.virtual_ip === undefined ||
        other.virtual_ip === service.virtual_ip)
    );
    const named = [...new Set(beside.filter((other) => other !== service).flatMap(({ ports }) => ports))]
      .filter((port) => typeof port === "number").sort((a, b) => a - b);
    const ranges: Array<number | string> = [];
    let from = 1;
    for (const port of [...named, PORT_MAX + 1]) {
      if (port - 1 > from) ranges.push(`${from}-${port - 1}`);
      else if (port - 1 === from) ranges.push(from);
      from = port + 1;
    }
    service.ports = ranges;
  }
}
