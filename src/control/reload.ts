/** What of a new configuration a running daemon can take up. Pure. */
import { type FarmConfig } from "../config/load.ts";

/**
 * The keys of the file that differ and need a restart of the daemon. Empty: everything that differs can be applied
 * at once, which goes for weights and `drain_on_stop`.
 */
export function needsRestart(running: FarmConfig, next: FarmConfig): string[] {
  const before = fixedParts(running);
  const after = fixedParts(next);
  return Object.keys(before).filter((key) => JSON.stringify(before[key]) !== JSON.stringify(after[key]));
}

/** Everything but weights and `drain_on_stop`, under the names that the file uses. */
export function fixedParts(config: FarmConfig): Record<string, unknown> {
  const { virtualIps, services, heartbeat, nodes } = config;
  return {
    farm: config.farm,
    secret_file: config.secretFile,
    interface: config.interface,
    virtual_ips: virtualIps.map(({ address, mode, interface: name }) => [address.text, mode, name]),
    services: services.map(({ name, virtualIps, protocol, ports, affinity }) => [
      name,
      virtualIps.map(({ text }) => text),
      protocol,
      ports,
      affinity,
    ]),
    uncovered: config.uncovered,
    heartbeat: { ...heartbeat, groups: [heartbeat.groups.ipv4?.text, heartbeat.groups.ipv6.text] },
    nodes: Object.entries(nodes).flatMap(([name, each]) =>
      each.interface === undefined ? [] : [name, each.interface]
    ),
    quorum: [config.quorum, config.quorum.kind === "off" ? [] : Object.keys(nodes)],
    datapath: config.datapath,
    admin: config.admin,
  };
}
