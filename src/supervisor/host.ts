/** What outlives a worker: the lock, the TUN devices with the virtual IPs, the host's settings and their undo. */
import { TunDevice } from "../../ffi/tun.ts";
import { parseAddress } from "../core/address.ts";
import { messageOf } from "../core/errors.ts";
import { type FarmEventInit } from "../core/events.ts";
import { RuntimeLock } from "../host/lock.ts";
import { type HostSetUp, setUpHost } from "../host/set_up.ts";
import { TUN_NAMES } from "../host/tun_name.ts";
import { HostChanges, undoLeftovers } from "../host/undo.ts";
import { type HostPlan, type HostTun } from "./messages.ts";

/** How often the host's settings are looked at: a network manager may change them at any time. */
const RENEW_INTERVAL_MS = 5_000;

/** The host of a running node. */
export class SupervisedHost {
  readonly tuns: HostTun[] = [];
  readonly #resources = new AsyncDisposableStack();
  readonly #renewals: Array<() => void> = [];
  #lost: string | undefined;

  private constructor(
    readonly plan: HostPlan,
    readonly report: (event: FarmEventInit) => void,
    readonly onLost: (problem: string) => void,
  ) {}

  /** What is gone that only setting up anew brings back. */
  get lost(): string | undefined {
    return this.#lost;
  }

  /**
   * Takes the runtime directory, puts back what a crash left, and makes the host ready.
   * @throws VipfarmError after putting everything back
   */
  static async setUp(
    plan: HostPlan,
    runtimeDir: string,
    report: (event: FarmEventInit) => void,
    onLost: (problem: string) => void,
  ): Promise<SupervisedHost> {
    const host = new SupervisedHost(plan, report, onLost);
    try {
      const lock = await RuntimeLock.acquire(runtimeDir);
      host.#resources.defer(() => lock.release());
      host.#undoLeftovers(runtimeDir);
      const changes = new HostChanges(runtimeDir);
      // After the last virtual IP is gone: until then the kernel must keep quiet on every interface.
      host.#resources.defer(() => host.#reportLeft(changes.undoAll().left));
      for (const each of plan.interfaces) host.#setUpInterface(each, runtimeDir, changes);
      return host;
    } catch (error) {
      await host.takeBack();
      throw error;
    }
  }

  /** Looks at the settings now: an interface may be another one of the same name, with the settings of a new one. */
  renew(): void {
    for (const renew of this.#renewals) renew();
  }

  /** Virtual IPs off, settings back, lock released. */
  async takeBack(): Promise<void> {
    await this.#resources.disposeAsync();
  }

  #undoLeftovers(runtimeDir: string): void {
    const { undone, left, dropped } = undoLeftovers(runtimeDir);
    if (undone.length > 0) {
      const settings = undone.length === 1 ? "1 setting" : `${undone.length} settings`;
      this.report({
        severity: "warning",
        kind: "host.leftovers_undone",
        message: `The last run did not end cleanly: ${settings} of this host had to be put back.`,
      });
    }
    this.#reportLeft(left);
    if (dropped !== undefined) {
      this.report({
        severity: "info",
        kind: "host.journal_dropped",
        message: `Old undo journal: ${dropped}.`,
      });
    }
  }

  /** Settings of the interface first, then the virtual IPs on the TUN device; and somebody to look after them. */
  #setUpInterface(
    { name, virtualIps }: HostPlan["interfaces"][number],
    runtimeDir: string,
    changes: HostChanges,
  ): void {
    const tun = this.#resources.use(TunDevice.open(TUN_NAMES, { shared: true }));
    const host = setUpHost({
      tun,
      interfaces: [name],
      virtualIps: virtualIps.map((text) => parseAddress(text)!),
      runtimeDir,
      changes,
    });
    this.#resources.defer(() => void host.undo());
    // This descriptor holds the device; packets go through the queue that the worker opens.
    tun.detachQueue();
    const renew = () => this.#renew(host, name, tun.name);
    this.#renewals.push(renew);
    const timer = setInterval(renew, RENEW_INTERVAL_MS);
    this.#resources.defer(() => clearInterval(timer));
    this.tuns.push({ interface: name, tun: tun.name });
  }

  #renew(host: HostSetUp, interfaceName: string, tunName: string): void {
    if (this.#lost !== undefined) return;
    if (host.isGone) {
      this.#lost = `the TUN device ${tunName} was deleted, and the virtual IPs with it`;
      return this.onLost(this.#lost);
    }
    try {
      for (const { text } of host.renewVirtualIps()) {
        this.report({
          severity: "error",
          kind: "host.virtual_ip_mended",
          message:
            `Somebody took ${text} off ${tunName}, so this node did not answer for it; it is there again.`,
        });
      }
      for (const { path, former, value } of host.renew()) {
        this.report({
          severity: "warning",
          kind: "host.setting_mended",
          message: `Somebody set ${path} to ${former}; it is ${value} again.`,
        });
      }
    } catch (error) {
      const problem = messageOf(error);
      this.report({
        severity: "error",
        kind: "host.setting_wrong",
        message: `The settings of ${interfaceName} cannot be mended: ${problem}.`,
      });
    }
  }

  #reportLeft(left: ReadonlyArray<{ path: string; why: string }>): void {
    for (const { path, why } of left) {
      this.report({
        severity: "warning",
        kind: "host.setting_left",
        message: `${path} stays as it is: ${why}.`,
      });
    }
  }
}
