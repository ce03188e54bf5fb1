/** Is a virtual IP in other hands already? */
import { type NodeConfig } from "../config/load.ts";
import { type IpAddress } from "../core/address.ts";
import { VipfarmError } from "../core/errors.ts";
import { formatMac, MAC_BYTES, virtualMac } from "../wire/ethernet.ts";
import { answerers } from "./address_in_use.ts";
import type { Finding } from "./finding.ts";
import { findLink } from "./link.ts";

/** Who on the LAN of one interface answers for a virtual IP. */
export interface LanAnswer {
  readonly address: IpAddress;
  /** Somebody does with the farm's MAC for it. */
  readonly byFarm: boolean;
  /** Other MACs. */
  readonly others: readonly string[];
}

/** Asks the LAN of one interface for the virtual IPs that are to be there. Throws SystemError (CAP_NET_RAW is needed). */
export async function askLan(interfaceName: string, node: NodeConfig): Promise<LanAnswer[]> {
  const vips = node.virtualIps.filter((vip) => vip.interface === interfaceName);
  // An interface that is missing or down is a finding of its own.
  const link = findLink(interfaceName);
  if (link === undefined || !link.up || link.mac.length !== MAC_BYTES) return [];
  const found = await answerers(link, vips.map(({ address }) => address));
  return vips.map(({ address, mode }) => {
    const macs = [...found.get(address.text) ?? []], shared = formatMac(virtualMac(address, mode));
    return { address, byFarm: macs.includes(shared), others: macs.filter((mac) => mac !== shared) };
  });
}

/** What `preflight` says of the answers; `asked` fails where nobody could be asked. */
export async function lanFindings(
  interfaceName: string,
  node: NodeConfig,
  asked: Promise<readonly LanAnswer[]>,
): Promise<Finding[]> {
  try {
    return (await asked).map(({ address, byFarm, others }): Finding => {
      if (others.length > 0) {
        return {
          ok: false,
          what: `${address.text} is in use on ${interfaceName}: ${others.join(", ")} answers for it`,
          remedy:
            "Take the address away from that host, or choose another virtual IP. Only the farm may have it.",
        };
      }
      const who = byFarm ? "a farm answers for it" : "nobody answers for it";
      return { ok: true, what: `${address.text} on ${interfaceName}: ${who}` };
    });
  } catch (error) {
    if (!(error instanceof VipfarmError)) throw error;
    const names = node.virtualIps.filter((vip) => vip.interface === interfaceName)
      .map(({ address }) => address.text).join(", ");
    return [{
      ok: "warning",
      what: `it could not be asked whether ${names} is in use: ${error.message}`,
      remedy: error.remedy ?? "Run as root.",
    }];
  }
}
