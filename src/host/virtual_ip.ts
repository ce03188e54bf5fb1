/**
 * The virtual IPs on the TUN device: there, and nowhere else, the host takes them for its own. The device is the
 * daemon's; settings and addresses go away with its last descriptor, so they need no entry in the journal.
 */

import { SystemError } from "../../ffi/errors.ts";
import { interfaceByName } from "../../ffi/interface.ts";
import { addAddress, addresses, links, removeAddress, setLink } from "../../ffi/rtnetlink.ts";
import { VipfarmError } from "../core/errors.ts";
import { addressFromBytes, type IpAddress, sameAddress } from "../core/address.ts";
import { interfaceSysctl, readSysctl, writeSysctl } from "./sysctl_file.ts";
import type { SysctlChange } from "./undo.ts";

/** What a TUN device must be like, by address family. */
const TUN_SYSCTLS = {
  4: {
    // Packets from everywhere come in here, though no route points back. The larger of `all` and this counts
    // (IN_DEV_RPFILTER, include/linux/inetdevice.h), so loose beats a strict `all`.
    rp_filter: "2",
    accept_redirects: "0",
    send_redirects: "0",
  },
  6: {
    disable_ipv6: "0",
    // Nothing listens at the other end: no link-local address, no solicitations, no duplicate address detection.
    addr_gen_mode: "1",
    accept_ra: "0",
    autoconf: "0",
    router_solicitations: "0",
    accept_dad: "0",
    dad_transmits: "0",
    accept_redirects: "0",
  },
} as const;

/** Largest MTU of a TUN device, in bytes (MAX_MTU in drivers/net/tun.c). */
const TUN_MTU_MAX = 65_535;

/** Virtual IPs that stand on a device. */
export class PlacedVirtualIps {
  readonly #tunName: string;
  readonly #index: number;
  readonly #addresses: readonly IpAddress[];

  private constructor(tunName: string, index: number, addresses: readonly IpAddress[]) {
    this.#tunName = tunName;
    this.#index = index;
    this.#addresses = addresses;
  }

  /**
   * Prepares the device, puts each address on it as a single host (/32, /128), and brings it up.
   * @param mtu in bytes; that of the interface which reaches the clients
   * @throws VipfarmError (SystemError from the kernel's answers) after taking back what it had done
   */
  static place(tunName: string, virtualIps: readonly IpAddress[], mtu: number): PlacedVirtualIps {
    const { index } = interfaceByName(tunName);
    const placed = new PlacedVirtualIps(tunName, index, virtualIps);
    try {
      placed.mendSettings();
      if (!placed.#families.includes(6)) keepSilent(tunName);
      setLink({ index, mtu: Math.min(mtu, TUN_MTU_MAX), noArp: true });
      for (const address of virtualIps) placed.#put(address);
      // Last: from here on the host answers for these addresses, and only to what the daemon writes to the device.
      setLink({ index, up: true });
    } catch (error) {
      placed.remove();
      throw error;
    }
    return placed;
  }

  get #families(): ReadonlyArray<4 | 6> {
    return ([4, 6] as const).filter((family) => this.#addresses.some((address) => address.family === family));
  }

  /** Makes the settings of the device what they must be. @returns what was changed; nothing, as a rule, once it is in use */
  mendSettings(): readonly SysctlChange[] {
    return this.#families.flatMap((family) => setOwn(this.#tunName, family, TUN_SYSCTLS[family]));
  }

  /** Whether the device was deleted: no descriptor brings it back. */
  get isGone(): boolean {
    return !links().some(({ index }) => index === this.#index);
  }

  /** Puts back what somebody took off the device. @returns those addresses; empty as a rule */
  mend(): readonly IpAddress[] {
    const present = addresses(this.#index).map(({ address }) => addressFromBytes(address));
    const missing = this.#addresses.filter((address) => !present.some((each) => sameAddress(each, address)));
    for (const address of missing) this.#put(address);
    setLink({ index: this.#index, up: true });
    return missing;
  }

  #put({ bytes }: IpAddress): void {
    const address = { address: bytes, prefixLength: bytes.length * 8 };
    addAddress({ index: this.#index, ...address, noDad: true, deprecated: true });
  }

  /** Takes the device down and the addresses off it. Fine if the device has gone. */
  remove(): void {
    try {
      setLink({ index: this.#index, up: false });
      for (const { bytes } of this.#addresses) {
        removeAddress({ index: this.#index, address: bytes, prefixLength: bytes.length * 8 });
      }
    } catch (error) {
      // ENODEV: its descriptor is closed, and everything on it went with it.
      if (!(error instanceof SystemError && error.is("ENODEV"))) throw error;
    }
  }
}

function setOwn(
  tunName: string,
  family: 4 | 6,
  settings: Readonly<Record<string, string>>,
): readonly SysctlChange[] {
  const changes: SysctlChange[] = [];
  for (const [name, value] of Object.entries(settings)) {
    const path = interfaceSysctl(family, tunName, name);
    const former = readSysctl(path);
    // Only what differs: where /proc/sys is read-only, defaults that fit are good enough.
    if (former === value) continue;
    if (former !== undefined && writeSysctl(path, value)) {
      changes.push({ path, former, value });
      continue;
    }
    throw new VipfarmError({
      operation: `set up ${tunName}`,
      problem: `the host has no IPv${family} setting ${name} for it`,
      value: path,
      remedy: family === 6
        ? "Switch IPv6 on in the kernel (ipv6.disable=0), or leave IPv6 virtual IPs out."
        : undefined,
    });
  }
  return changes;
}

/** Without IPv6 addresses the device needs no IPv6 at all. */
function keepSilent(tunName: string): void {
  const path = interfaceSysctl(6, tunName, "disable_ipv6");
  if (readSysctl(path) === "0") writeSysctl(path, "1");
}
