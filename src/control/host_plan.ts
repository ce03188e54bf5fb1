/** What the supervisor needs to know of a node. */
import { type FarmConfig, type NodeConfig } from "../config/load.ts";
import { type FarmKeys } from "../core/keys.ts";
import { type GoodbyePlan, type HostPlan } from "../supervisor/messages.ts";
import { type HeartbeatNetwork } from "../thread_messages.ts";
import { PROTOCOL_VERSION } from "../wire/heartbeat.ts";
import { fixedParts } from "./reload.ts";

/** The interfaces with virtual IPs, in the order of the file. */
export function planHost({ virtualIps }: NodeConfig): HostPlan {
  const names = [...new Set(virtualIps.map((vip) => vip.interface))];
  const interfaces = names.map((name) => ({
    name,
    virtualIps: virtualIps.filter((vip) => vip.interface === name).map(({ address }) => address.text),
  }));
  return { interfaces };
}

/** For a goodbye on all networks that heartbeats go to. */
export function planGoodbye(
  { heartbeat, servicesDigest }: FarmConfig,
  node: string,
  keys: FarmKeys,
  networks: readonly HeartbeatNetwork[],
): GoodbyePlan {
  const { farmTag, headerKey, heartbeatKey } = keys;
  return {
    node,
    keys: { farmTag, headerKey, heartbeatKey },
    intervalMs: heartbeat.intervalMs,
    servicesDigest,
    port: heartbeat.port,
    networks: networks.map(({ interfaceName, interfaceIndex, targets }) => ({
      interfaceName,
      interfaceIndex,
      targets,
    })),
  };
}

/** Equal for two programs of one node whose tables and buckets mean the same. */
export function identityOf(config: FarmConfig, node: string): string {
  const { admin: _, ...parts } = fixedParts(config);
  return JSON.stringify([node, parts, PROTOCOL_VERSION]);
}
