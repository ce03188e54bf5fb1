/** Which privileges this process has, and what the daemon needs them for. Pure but for one file. */

import type { Finding } from "./finding.ts";

/** Bits of the capability words, from linux/capability.h. */
const CAPABILITIES = [
  { name: "CAP_NET_ADMIN", bit: 12n, needed: true, use: "the TUN device, addresses and sysctls" },
  { name: "CAP_NET_RAW", bit: 13n, needed: true, use: "the packet socket" },
  { name: "CAP_SYS_NICE", bit: 23n, needed: false, use: "heartbeats on time when all processors are busy" },
] as const;

/** Findings from the text of /proc/self/status. */
export function capabilityFindings(status: string): Finding[] {
  const hexadecimal = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  const effective = BigInt(`0x${hexadecimal ?? "0"}`);
  return CAPABILITIES.map(({ name, bit, needed, use }): Finding => {
    if ((effective >> bit & 1n) === 1n) return { ok: true, what: `${name} is there, for ${use}` };
    return {
      ok: needed ? false : "warning",
      what: `${name} is missing: it is for ${use}`,
      remedy: `Run as root, or give the service AmbientCapabilities=${name} (systemd), --cap-add ${
        name.replace("CAP_", "")
      } (containers).`,
    };
  });
}
