/**
 * The host made ready for a farm, and its former self again: settings of the interfaces that reach clients, and the
 * virtual IPs on the TUN device.
 */

import { interfaceByName } from "../../ffi/interface.ts";
import { links } from "../../ffi/rtnetlink.ts";
import { VipfarmError } from "../core/errors.ts";
import type { IpAddress } from "../core/address.ts";
import { LINK_TYPE } from "./link.ts";
import { applyRequirements, FOR_ALL_INTERFACES, VIP_INTERFACE_REQUIREMENTS } from "./sysctls.ts";
import { HostChanges, NOTHING_UNDONE, type SysctlChange, type UndoReport } from "./undo.ts";
import { MAC_BYTES } from "../wire/ethernet.ts";
import { PlacedVirtualIps } from "./virtual_ip.ts";

/** What to set up. */
export interface HostSetUpOptions {
  /** The TUN device, open. */
  readonly tun: { readonly name: string };
  /** Names of the interfaces that reach clients. */
  readonly interfaces: readonly string[];
  readonly virtualIps: readonly IpAddress[];
  readonly runtimeDir: string;
  /**
   * Changes for all TUN devices, when there is more than one: whoever gives them undoes them, after the last device. Else
   * the device has its own.
   */
  readonly changes?: HostChanges;
}

/** A host that is set up. */
export class HostSetUp {
  readonly #options: HostSetUpOptions;
  readonly #families: ReadonlySet<4 | 6>;
  readonly #changes: HostChanges;
  #placed: PlacedVirtualIps | undefined;

  /** {@link setUpHost} is the way in. */
  constructor(options: HostSetUpOptions) {
    this.#options = options;
    this.#families = new Set(options.virtualIps.map((address) => address.family));
    this.#changes = options.changes ?? new HostChanges(options.runtimeDir);
  }

  /** What was changed on the host, oldest first. */
  get changes(): readonly SysctlChange[] {
    return this.#changes.changes;
  }

  /** Interfaces first, so that the kernel keeps quiet before it has the first address. */
  apply(): void {
    this.renew();
    const mtu = Math.max(...this.#options.interfaces.map((name) => interfaceByName(name).mtu));
    this.#placed = PlacedVirtualIps.place(this.#options.tun.name, this.#options.virtualIps, mtu);
  }

  /**
   * Looks at the effective settings again and mends those that somebody changed since (`sysctl --system`, a network
   * manager, an interface that was plugged in anew). Cheap: call it every few seconds.
   * @returns what had to be changed; empty as a rule.
   * @throws VipfarmError if they cannot be mended.
   */
  renew(): readonly SysctlChange[] {
    const changed = this.#options.interfaces.flatMap((name) =>
      applyRequirements(this.#changes, name, VIP_INTERFACE_REQUIREMENTS, this.#families)
    );
    return [...changed, ...this.#keepOthersQuiet(), ...this.#placed?.mendSettings() ?? []];
  }

  /**
   * The virtual IPs are addresses of the host: any other Ethernet interface in the clients' LAN would answer for them, too, with
   * a MAC of its own. They come and go, so the settings for all of them are used.
   */
  #keepOthersQuiet(): readonly SysctlChange[] {
    const others = links().filter(({ name, type, mac }) =>
      type === LINK_TYPE.ethernet && mac.length === MAC_BYTES && !this.#options.interfaces.includes(name)
    );
    if (others.length === 0) return [];
    try {
      return applyRequirements(this.#changes, "all", FOR_ALL_INTERFACES, this.#families);
    } catch (error) {
      // A container may often set its own interface, and no more.
      if (error instanceof VipfarmError) return [];
      throw error;
    }
  }

  /** Whether the TUN device was deleted, and all virtual IPs with it. */
  get isGone(): boolean {
    return this.#placed?.isGone ?? false;
  }

  /** Puts virtual IPs back that somebody took off the TUN device. @returns those; empty as a rule */
  renewVirtualIps(): readonly IpAddress[] {
    return this.#placed?.mend() ?? [];
  }

  /** Takes the virtual IPs away, then puts the settings back, if they are its own. Safe to call more than once. */
  undo(): UndoReport {
    this.#placed?.remove();
    this.#placed = undefined;
    return this.#options.changes === undefined ? this.#changes.undoAll() : NOTHING_UNDONE;
  }
}

/**
 * Sets the host up. Hold the {@link RuntimeLock} and call `undoLeftovers` first.
 * @throws VipfarmError after undoing what it had done.
 */
export function setUpHost(options: HostSetUpOptions): HostSetUp {
  const host = new HostSetUp(options);
  try {
    host.apply();
  } catch (error) {
    host.undo();
    throw error;
  }
  return host;
}
