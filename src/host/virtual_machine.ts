/**
 * Will frames for a MAC that is not this interface's own ever get here? Virtual switches deliver by the MACs that they
 * gave out, and drop the rest unless they are told otherwise. From inside only the make can be seen.
 */
import type { Finding } from "./finding.ts";

/** What is to be set on the outside, by the driver of the interface. */
const DRIVERS: Readonly<Record<string, { readonly maker: string; readonly remedy: string }>> = {
  vmxnet3: {
    maker: "VMware",
    remedy:
      "On the port group, accept promiscuous mode and forged transmits (or MAC learning), as for NLB clusters.",
  },
  hv_netvsc: {
    maker: "Hyper-V",
    remedy:
      "Set MacAddressSpoofing On for this network adapter: Set-VMNetworkAdapter -MacAddressSpoofing On.",
  },
  "xen-netfront": {
    maker: "Xen",
    remedy: "Let the port be unlocked in the switch, and without MAC filters.",
  },
  ena: { maker: "Amazon's cloud", remedy: "Its network delivers by IP address and knows no shared MAC." },
  gve: { maker: "Google's cloud", remedy: "Its network delivers by IP address and knows no shared MAC." },
  virtio_net: {
    maker: "KVM",
    remedy: "With libvirt's filters, remove no-mac-spoofing; with macvtap, set trustGuestRxFilters='yes'.",
  },
};
/** Drivers of networks that know no layer 2 at all. */
const CLOUDS = ["ena", "gve"];

/** What is known of an interface. */
export interface InterfaceMake {
  readonly name: string;
  /** Of the kernel; undefined for interfaces without a device. */
  readonly driver: string | undefined;
  /** As `ip -d link` says it: `macvlan`, `ipvlan`, `veth`. */
  readonly kind: string | undefined;
}

/** What to look after for virtual IPs with these modes. Pure. */
export function virtualMachineFindings(
  { name, driver, kind }: InterfaceMake,
  modes: ReadonlyArray<"multicast" | "unicast">,
): Finding[] {
  if (kind === "ipvlan" || kind === "ipvtap") {
    return [{
      ok: false,
      what: `${name} is an ${kind} interface, which gets frames for no other MAC`,
      remedy: "Use the interface below it, or a macvlan in mode passthru.",
    }];
  }
  if ((kind === "macvlan" || kind === "macvtap") && modes.includes("unicast")) {
    return [{
      ok: "warning",
      what: `${name} is a ${kind} interface, which gets frames for other unicast MACs in mode passthru only`,
      remedy: "Use mode: multicast for the virtual IPs, or the interface below it.",
    }];
  }
  const make = driver === undefined ? undefined : DRIVERS[driver];
  if (driver === undefined || make === undefined) return [];
  return [{
    ok: CLOUDS.includes(driver) ? false : "warning",
    what:
      `${name} is a network adapter of ${make.maker} (${driver}), which may filter frames for virtual MACs`,
    remedy: make.remedy,
  }];
}

/** The name of the interface's driver. /sys may show another network namespace: the MAC tells whether it is this one. */
export function driverOf(name: string, mac: string): string | undefined {
  try {
    if (Deno.readTextFileSync(`/sys/class/net/${name}/address`).trim() !== mac) return undefined;
    return Deno.readLinkSync(`/sys/class/net/${name}/device/driver`).replace(/^.*\//, "");
  } catch {
    return undefined;
  }
}

/** The kind of a virtual interface, from `ip -d -j link show dev NAME`. */
export function kindOf(linkJson: string | undefined): string | undefined {
  if (linkJson === undefined) return undefined;
  const [link] = JSON.parse(linkJson) as Array<{ linkinfo?: { info_kind?: string } }>;
  return link?.linkinfo?.info_kind;
}
