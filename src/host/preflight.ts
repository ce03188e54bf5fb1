/** `vipfarm preflight`: is this host ready to be this node? Looks only; changes nothing. */

import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { addresses, links } from "../../ffi/rtnetlink.ts";
import { TUN_DEVICE } from "../../ffi/tun.ts";
import { checkAgainstHost } from "../config/host_check.ts";
import { hostInterfaces } from "../config/host_interfaces.ts";
import { type FarmConfig, forNode, type NodeConfig, problemAt } from "../config/load.ts";
import { inspectSecret } from "../config/secret.ts";
import { addressFromBytes, inNetwork, sameAddress } from "../core/address.ts";
import { VipfarmError } from "../core/errors.ts";
import { formatMac } from "../wire/ethernet.ts";
import { checkApplicationHere } from "./application_check.ts";
import { capabilityFindings } from "./capabilities.ts";
import { fileFindings, type Reader } from "./file_findings.ts";
import type { Finding } from "./finding.ts";
import { askLan, type LanAnswer, lanFindings } from "./lan_findings.ts";
import { expectedPackets, firewallFindings, type FirewallRules } from "./firewall.ts";
import { findLink, LINK_TYPE } from "./link.ts";
import { unheardFarm } from "./look_around.ts";
import { type Heard, judgeHeard, listen } from "./neighbours.ts";
import { networkManagerFindings } from "./network_managers.ts";
import { programOutput } from "./program_output.ts";
import { FARM_FILE, mayRead, serviceUser } from "./service.ts";
import { interfaceSysctl, readSysctl } from "./sysctl_file.ts";
import { effectiveValue, isReversePathStrict, VIP_INTERFACE_REQUIREMENTS } from "./sysctls.ts";
import { driverOf, kindOf, virtualMachineFindings } from "./virtual_machine.ts";
import { witnessFindings } from "./witness.ts";

export type { Finding };

/** Oldest kernel with all that the packet path uses; older ones are not supported by anybody. */
const KERNEL_MIN = [5, 10] as const;
/** Looks at everything that the daemon would need here as the node of that name. */
export async function preflight(config: FarmConfig, nodeName: string): Promise<Finding[]> {
  const node = forNode(config, nodeName);
  const interfaces = [...new Set(node.virtualIps.map((vip) => vip.interface))];
  const reader = serviceReader(config);
  const asked = interfaces.map((name) => askLan(name, node));
  const listening = Promise.all(node.heartbeatInterfaces.map((name) => hearOn(config, nodeName, name)));
  const outside = Promise.all([
    secretFindings(config.secretFile),
    reader.then((reader) => fileFindings(config, reader)),
    reader.then(tunOfService),
    firewall(config, node),
    clockFindings(),
    witnessFindings(config),
    ...interfaces.map((name) => makeFindings(name, node)),
    ...interfaces.map((name, index) => lanFindings(name, node, asked[index])),
  ]);
  return [
    ...capabilityFindings(
      await Deno.readTextFile("/proc/self/status"),
      await Deno.readTextFile("/proc/self/limits"),
      namesUsers(config),
    ),
    tunFinding(),
    kernelFinding(await Deno.readTextFile("/proc/sys/kernel/osrelease")),
    ...[...new Set([...interfaces, ...node.heartbeatInterfaces])].flatMap(interfaceFindings),
    ...placementFindings(config, node),
    ...interfaces.flatMap((name) => sysctlFindings(name, node)),
    ...wayBackFindings(node),
    ...adminFindings(config),
    ...networkManagerFindings(),
    ...(await outside).flat(),
    ...(await listening).flatMap(({ findings }) => findings),
    ...unheardFindings(config, (await listening).map(({ heard }) => heard), await Promise.allSettled(asked)),
    ...await applicationFindings(config),
  ];
}

/** What keeps a node that starts from taking part. Where not all can be heard or asked, nothing is concluded. */
function unheardFindings(
  config: FarmConfig,
  heard: ReadonlyArray<readonly Heard[] | undefined>,
  asked: ReadonlyArray<PromiseSettledResult<readonly LanAnswer[]>>,
): Finding[] {
  const answers = asked.flatMap((each) => each.status === "fulfilled" ? each.value : []);
  const all = heard.filter((each) => each !== undefined);
  const objection = all.length === heard.length ? unheardFarm(config, all.flat(), answers) : undefined;
  return objection === undefined ? [] : [{ ok: false, what: objection.problem, remedy: objection.remedy }];
}

function namesUsers({ application, checks }: FarmConfig): boolean {
  return application?.user !== undefined ||
    checks.checks.some(({ target }) => target.kind === "exec" && target.user !== undefined);
}

/** Whether the kernel is new enough, from the text of /proc/sys/kernel/osrelease. */
export function kernelFinding(release: string): Finding {
  const [major, minor] = release.split(".").map(Number.parseFloat);
  const old = major < KERNEL_MIN[0] || (major === KERNEL_MIN[0] && minor < KERNEL_MIN[1]);
  if (!old) return { ok: true, what: `Linux ${release.trim()}` };
  return {
    ok: false,
    what: `Linux ${release.trim()} is too old`,
    remedy: `Use Linux ${KERNEL_MIN.join(".")} or later.`,
  };
}

function tunFinding(): Finding {
  const path = TUN_DEVICE;
  try {
    // Opening it makes no device yet.
    Deno.openSync(path, { read: true, write: true }).close();
    return { ok: true, what: `${path} can be opened` };
  } catch (error) {
    const absent = error instanceof Deno.errors.NotFound || String(error).includes("os error 19");
    return {
      ok: false,
      what: `${path} ${absent ? "is not there" : "cannot be opened"}`,
      remedy: absent
        ? "Load the module: modprobe tun, and name it in /etc/modules-load.d; containers need --device /dev/net/tun."
        : "Run as root; containers need --device /dev/net/tun.",
    };
  }
}

/** Without udev the device is root's alone. */
export async function tunOfService(reader: Reader | undefined): Promise<Finding[]> {
  if (reader === undefined || !existsSync(TUN_DEVICE) || await reader.mayRead(TUN_DEVICE)) return [];
  return [{
    ok: false,
    what: `${TUN_DEVICE} may not be opened by ${reader.name}, which the service runs as`,
    remedy: `Let everybody open it, as udev does: chmod 666 ${TUN_DEVICE}, at each boot.`,
  }];
}

function interfaceFindings(name: string): Finding[] {
  const link = findLink(name);
  if (link === undefined) return []; // told with its place in the file by placementFindings
  if (!link.up || !link.running) {
    return [{
      ok: false,
      what: `${name} is ${link.up ? "up but without a carrier" : "down"}`,
      remedy: link.up ? "Check the cable and the switch port." : `ip link set dev ${name} up`,
    }];
  }
  if (link.type !== LINK_TYPE.ethernet) {
    return [{
      ok: false,
      what: `${name} is no Ethernet interface (type ${link.type})`,
      remedy: "Virtual MACs need Ethernet: choose the interface that the switch is on.",
    }];
  }
  const findings: Finding[] = [{ ok: true, what: `${name} is up, MTU ${link.mtu}` }];
  if (isDirectory(`/sys/class/net/${name}/brport`)) {
    findings.push({
      ok: "warning",
      what: `${name} is a port of a bridge, which takes its packets`,
      remedy: "Name the bridge itself as the interface.",
    });
  }
  return findings;
}

async function applicationFindings(config: FarmConfig): Promise<Finding[]> {
  const problems = await checkApplicationHere(config, "error");
  if (problems.length === 0 && config.application !== undefined) {
    return [{ ok: true, what: "the application's scripts are there" }];
  }
  return problems.map(({ file, line, message, expected, severity }) => ({
    ok: severity === "error" ? false : "warning",
    what: `${file}:${line}: ${message}`,
    remedy: `Needed is ${expected}.`,
  }));
}

function placementFindings(config: FarmConfig, node: NodeConfig): Finding[] {
  const findings: Finding[] = checkAgainstHost(config, node.name, hostInterfaces(), "error")
    .filter(({ severity }) => severity === "error")
    .map(({ message, expected }) => ({ ok: false, what: message, remedy: `Expected: ${expected}` }));
  const types = new Map(links().map((link) => [link.index, link]));
  const present = addresses();
  for (const { address } of node.virtualIps) {
    const found = present.find((each) => sameAddress(addressFromBytes(each.address), address));
    const link = found && types.get(found.index);
    if (link === undefined) continue;
    findings.push(
      link.type === LINK_TYPE.none
        ? { ok: true, what: `${address.text} is on ${link.name}: a daemon runs here already` }
        : {
          ok: false,
          what:
            `${address.text} is configured on ${link.name} of this host, so the kernel would answer for it`,
          remedy: `Choose another virtual IP; or, where this host needs the address no longer: ` +
            `ip address del ${address.text}/${found?.prefixLength} dev ${link.name}`,
        },
    );
  }
  if (findings.every(({ ok }) => ok === true)) {
    const placed = node.virtualIps.map((vip) => `${vip.address.text} in a network of ${vip.interface}`);
    findings.push({ ok: true, what: placed.join(", ") });
  }
  return findings;
}

function sysctlFindings(name: string, node: NodeConfig): Finding[] {
  if (findLink(name) === undefined) return [];
  const families = new Set(
    node.virtualIps.filter((vip) => vip.interface === name).map((vip) => vip.address.family),
  );
  const findings: Finding[] = [];
  let toSet = 0;
  for (const requirement of VIP_INTERFACE_REQUIREMENTS) {
    const { family, name: setting, value, accepts, combine, why } = requirement;
    if (!families.has(family)) continue;
    const effective = effectiveValue(name, requirement);
    const all = combine === "own" ? 0 : Number(readSysctl(interfaceSysctl(family, "all", setting)) ?? 0);
    if (effective !== undefined && accepts(effective)) continue;
    if (effective === undefined) {
      findings.push({
        ok: false,
        what: `net.ipv${family}.conf.${name}.${setting} does not exist here: ${why}`,
        remedy: family === 6 ? "Switch IPv6 on (ipv6.disable=0)." : undefined,
      });
    } else if (!accepts(Math.max(all, value))) {
      findings.push({
        ok: false,
        what: `net.ipv${family}.conf.all.${setting} is ${all} and overrules the interface: ${why}`,
        remedy: `sysctl -w net.ipv${family}.conf.all.${setting}=0`,
      });
    } else if (!isWritable(`/proc/sys/${interfaceSysctl(family, name, setting)}`)) {
      findings.push({
        ok: false,
        what: `net.ipv${family}.conf.${name}.${setting} is ${effective} and cannot be set: ${why}`,
        remedy: "Run as root with /proc/sys writable (containers often mount it read-only).",
      });
    } else toSet++;
  }
  if (findings.length === 0) {
    const doing = toSet === 0 ? "are right" : `can be set (${toSet} will be changed while the daemon runs)`;
    findings.push({ ok: true, what: `the sysctls of ${name} ${doing}` });
  }
  return findings;
}

async function secretFindings(path: string): Promise<Finding[]> {
  const { problem } = await inspectSecret(path);
  if (problem === undefined) return [{ ok: true, what: `the secret ${path} is there, for its owner only` }];
  const ok = problem.severity === "warning" ? "warning" : false;
  return [{ ok, what: problem.message, remedy: `Expected: ${problem.expected}` }];
}

/** The package's service, if it is its file that is looked at: it reads as its own user what root can always read. */
async function serviceReader(config: FarmConfig): Promise<Reader | undefined> {
  const { file } = problemAt(config, { path: [], message: "", expected: "" });
  const user = resolve(file) === FARM_FILE && Deno.uid() === 0 ? await serviceUser() : undefined;
  return user && { name: user.name, mayRead: (path) => mayRead(user, path) };
}

async function firewall(config: FarmConfig, node: NodeConfig): Promise<Finding[]> {
  const programs = ["iptables", "ip6tables", "iptables-legacy", "ip6tables-legacy"];
  const saved = await Promise.all(
    programs.map(async (name) => [name, await programOutput(`${name}-save`, [])] as const),
  );
  const rules: FirewallRules = {
    nft: await programOutput("nft", ["-j", "list", "ruleset"]),
    iptables: new Map(saved.flatMap(([name, text]) => text === undefined ? [] : [[name, text] as const])),
  };
  // Most hosts without these programs have no firewall.
  if (rules.nft === undefined && rules.iptables.size === 0) return [];
  return firewallFindings(rules, expectedPackets(config, node));
}

async function makeFindings(name: string, node: NodeConfig): Promise<Finding[]> {
  const link = findLink(name);
  if (link === undefined) return [];
  const modes = node.virtualIps.filter((vip) => vip.interface === name).map(({ mode }) => mode);
  const kind = kindOf(await programOutput("ip", ["-d", "-j", "link", "show", "dev", name]));
  return virtualMachineFindings({ name, driver: driverOf(name, formatMac(link.mac)), kind }, modes);
}

async function clockFindings(): Promise<Finding[]> {
  const synchronised = await programOutput("timedatectl", ["show", "--property=NTPSynchronized", "--value"]);
  if (synchronised === undefined) return []; // no systemd: nobody to ask
  if (synchronised.trim() === "yes") return [{ ok: true, what: "the clock is synchronised" }];
  return [{
    ok: "warning",
    what:
      "the clock is not synchronised; the farm does not need that, but logs of the nodes will not line up",
    remedy: "Run systemd-timesyncd or chrony.",
  }];
}

/** Listens on one heartbeat interface; `heard` is undefined where that cannot be done. */
async function hearOn(
  config: FarmConfig,
  nodeName: string,
  name: string,
): Promise<{ findings: Finding[]; heard?: Heard[] }> {
  const link = findLink(name);
  if (link === undefined || !link.up) return { findings: [] };
  if (config.heartbeat.peers.length === 0 && !link.multicast) {
    const remedy = `ip link set dev ${name} multicast on`;
    return { findings: [{ ok: false, what: `${name} does no multicast`, remedy }] };
  }
  // The running daemon has the unicast port.
  if (config.heartbeat.peers.length > 0 && runsHere(config)) return { findings: [] };
  try {
    const listened = await listen(config, link);
    return {
      findings: listened.flatMap((each) => judgeHeard(config, nodeName, each)),
      heard: listened.flatMap(({ heard }) => heard),
    };
  } catch (error) {
    if (!(error instanceof VipfarmError)) throw error;
    return { findings: [{ ok: false, what: error.message, remedy: error.remedy }] };
  }
}

/**
 * Strict reverse path filtering drops heartbeats that come in by an interface which the host would not answer by. The
 * TUN device is set to loose, which beats a strict `all`.
 */
function wayBackFindings(node: NodeConfig): Finding[] {
  const own = addresses().filter(({ family }) => family === 4);
  const networks = own.map(({ index, address, prefixLength }) => ({
    index,
    network: addressFromBytes(address),
    prefixLength,
  }));
  return node.heartbeatInterfaces.flatMap((name): Finding[] => {
    const link = findLink(name);
    if (link === undefined || !isReversePathStrict(name)) return [];
    const shared = networks.some((mine) =>
      mine.index === link.index &&
      networks.some((other) =>
        other.index !== link.index && inNetwork(mine.network, other.network, other.prefixLength)
      )
    );
    if (!shared) return [];
    return [{
      ok: "warning",
      what:
        `rp_filter of ${name} is strict, and another interface has a network of ${name}: heartbeats would be dropped`,
      remedy: `sysctl -w net.ipv4.conf.${name}.rp_filter=2`,
    }];
  });
}

/** Whether the address of the admin endpoint is free. */
function adminFindings(config: FarmConfig): Finding[] {
  const { listen } = config.admin;
  if (listen === undefined || runsHere(config)) return [];
  const where = `${listen.host} port ${listen.port}`;
  try {
    Deno.listen({ hostname: listen.host, port: listen.port }).close();
    return [{ ok: true, what: `${where} is free for the admin endpoint` }];
  } catch (error) {
    const isTaken = error instanceof Deno.errors.AddrInUse;
    return [{
      ok: false,
      what: `${where} ${
        isTaken ? "is taken by another program" : "cannot be listened on"
      }: no admin endpoint`,
      remedy: isTaken
        ? `ss -ltnp 'sport = :${listen.port}' shows by which; or choose another in admin.listen.`
        : "Choose an address of this host in admin.listen.",
    }];
  }
}

/** Whether a daemon with these virtual IPs runs here: they stand on a TUN device. */
function runsHere({ virtualIps }: Pick<FarmConfig, "virtualIps">): boolean {
  const tuns = new Set(links().filter(({ type }) => type === LINK_TYPE.none).map(({ index }) => index));
  return addresses().some(({ index, address }) =>
    tuns.has(index) && virtualIps.some((vip) => sameAddress(addressFromBytes(address), vip.address))
  );
}

function isWritable(path: string): boolean {
  try {
    Deno.openSync(path, { write: true }).close();
    return true;
  } catch {
    return false;
  }
}

function isDirectory(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}
