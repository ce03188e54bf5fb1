/** Is a virtual IP in other hands already? */
import { type NodeConfig } from "../config/load.ts";
import { VipfarmError } from "../core/errors.ts";
import { formatMac, MAC_BYTES, virtualMac } from "../wire/ethernet.ts";
import { answerers } from "./address_in_use.ts";
import type { Finding } from "./finding.ts";
import { findLink } from "./link.ts";

/** Asks the LAN of one interface for the virtual IPs that are to be there. */
export async function lanFindings(interfaceName: string, node: NodeConfig): Promise<Finding[]> {
  const vips = node.virtualIps.filter((vip) => vip.interface === interfaceName);
  // An interface that is missing or down is a finding of its own.
  const link = findLink(interfaceName);
  if (link === undefined || !link.up || link.mac.length !== MAC_BYTES) return [];
  try {
    const found = await answerers(link, vips.map(({ address }) => address));
    return vips.map(({ address, mode }): Finding => {
      const macs = found.get(address.text) ?? new Set<string>();
      const shared = formatMac(virtualMac(address, mode));
      const others = [...macs].filter((mac) => mac !== shared);
      if (others.length > 0) {
        return {
          ok: false,
          what: `${address.text} is in use on ${interfaceName}: ${others.join(", ")} answers for it`,
          remedy:
            "Take the address away from that host, or choose another virtual IP. Only the farm may have it.",
        };
      }
      const who = macs.size > 0 ? "the farm answers for it" : "nobody answers for it";
      return { ok: true, what: `${address.text} on ${interfaceName}: ${who}` };
    });
  } catch (error) {
    if (!(error instanceof VipfarmError)) throw error;
    const names = vips.map(({ address }) => address.text).join(", ");
    return [{
      ok: "warning",
      what: `it could not be asked whether ${names} is in use: ${error.message}`,
      remedy: error.remedy ?? "Run as root.",
    }];
  }
}
