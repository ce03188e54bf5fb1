/**
 * The daemon, put together: the control thread sets the host up, starts the packet and membership threads, serves the
 * admin endpoint and, at the end, takes everything back.
 *
 *   lock, leftovers -> TUN, sysctls, addresses -> packet threads -> membership thread -> admin endpoint
 *
 * No packet and no heartbeat passes through here.
 */
import { boottimeMs, boottimeMs32, realtimeMs } from "../ffi/clock.ts";
import { interfaceByName } from "../ffi/interface.ts";
import { addresses } from "../ffi/rtnetlink.ts";
import { TunDevice } from "../ffi/tun.ts";
import { createAdminApp } from "./admin/app.ts";
import { EventLog } from "./admin/event_log.ts";
import { serveAdmin } from "./admin/server.ts";
import { TokenStore } from "./admin/tokens.ts";
import { type FarmConfig, forNode, type NodeConfig } from "./config/load.ts";
import { readSecret } from "./config/secret.ts";
import { Connections } from "./control/connections.ts";
import { Farm } from "./control/farm.ts";
import { planNetworks } from "./control/heartbeat_networks.ts";
import { logEvent, startLog } from "./control/log.ts";
import { Orders } from "./control/orders.ts";
import { planServices, planVips } from "./control/plan.ts";
import { OptionalPrefilter } from "./control/prefilter.ts";
import { needsRestart } from "./control/reload.ts";
import { Settings } from "./control/settings.ts";
import { Thread } from "./control/thread.ts";
import { EXIT } from "./core/errors.ts";
import { type FarmEventInit } from "./core/events.ts";
import { deriveKeys } from "./core/keys.ts";
import { type DataplanePlan } from "./dataplane/plan.ts";
import { SharedClaims, SharedCounters } from "./dataplane/shared.ts";
import { RuntimeLock } from "./host/lock.ts";
import { type HostSetUp, setUpHost } from "./host/set_up.ts";
import { HostChanges, undoLeftovers } from "./host/undo.ts";
import {
  type FromDataplane,
  type FromMembership,
  type HeartbeatNetwork,
  type ToDataplane,
  type ToMembership,
} from "./thread_messages.ts";

/** How the daemon is started. */
export interface DaemonOptions {
  /** Checked against this host already. */
  config: FarmConfig;
  /** Reads and checks the file again, and tells its problems; undefined if there is an error. */
  reread(): Promise<FarmConfig | undefined>;
  node: string;
  runtimeDir: string;
}

/** Frames that may wait for a packet thread while it is not running: a busy NIC's burst of several milliseconds. */
const RING_FRAMES = 512;
/** Requests under way at a stop may end within this time: new ones go to other nodes already. */
const STOP_LINGER_MS = 250;
/** How often a stopping daemon looks whether requests under way have ended. */
const ENDED_LOOK_MS = 10;
/** How often the kernel is asked whether retained connections have ended. */
const CONNECTIONS_INTERVAL_MS = 200;
/** How often the other nodes are told how many frames this one has seen: the self-test of the LAN compares seconds. */
const FRAMES_INTERVAL_MS = 1_000;
/** How often the host's settings are looked at: a network manager may change them at any time. */
const HOST_INTERVAL_MS = 5_000;
/** A thread that does not answer for this long at a stop is not waited for. */
const STOP_STEP_MS_MAX = 2_000;

/** Runs the daemon until SIGTERM or SIGINT; returns the exit code. Throws VipfarmError when it cannot start. */
export async function runDaemon(options: DaemonOptions): Promise<number> {
  await startLog();
  await using resources = new AsyncDisposableStack();
  const daemon = new Daemon(options, resources);
  await daemon.start();
  return await daemon.untilStopped();
}

/** One interface with virtual IPs, and the thread that serves it. */
interface Dataplane {
  interface: string;
  counters: SharedCounters;
  /** What the kernel has dropped before it was captured; undefined where it has no prefilter. */
  filtered?: () => number;
  thread: Thread<ToDataplane, FromDataplane>;
  ended: PromiseWithResolvers<void>;
}

class Daemon {
  #config: FarmConfig;
  readonly #node: NodeConfig;
  readonly #events = new EventLog();
  readonly #claims: SharedClaims;
  readonly #prefilter: OptionalPrefilter;
  readonly #dataplanes: Dataplane[] = [];
  readonly #settings: Settings;
  readonly #orders: Orders;
  readonly #failed = Promise.withResolvers<number>();
  readonly #started = Promise.withResolvers<void>();
  readonly #handedOver = Promise.withResolvers<void>();
  readonly #finished = Promise.withResolvers<void>();
  #farm!: Farm;
  #connections!: Connections;
  #membership!: Thread<ToMembership, FromMembership>;
  #changes: HostChanges | undefined;
  #lookTimer: ReturnType<typeof setTimeout> | undefined;
  #retainedGroups = 0;

  constructor(readonly options: DaemonOptions, readonly resources: AsyncDisposableStack) {
    this.#config = options.config;
    this.#node = forNode(options.config, options.node);
    const tableCount = this.#config.services.length + 1;
    this.#claims = SharedClaims.create(tableCount, boottimeMs32());
    this.#prefilter = new OptionalPrefilter(tableCount, (event) => this.#record(event));
    this.resources.defer(() => this.#prefilter.close());
    this.#settings = new Settings(
      this.#config,
      this.#node.name,
      (weights, draining) => this.#membership.send({ kind: "settings", weights, draining }),
    );
    this.#orders = new Orders(this.#node.name, (order) => this.#membership.send({ kind: "order", order }));
  }

  async start(): Promise<void> {
    const { runtimeDir, config } = this.options;
    const lock = await RuntimeLock.acquire(runtimeDir);
    this.resources.defer(() => lock.release());
    this.#undoLeftovers();
    const keys = deriveKeys(await readSecret(config.secretFile), config.farm);
    const vips = planVips(this.#node);
    this.#connections = new Connections(vips, planServices(config.services, vips), keys.flowKey);
    this.resources.defer(() => this.#connections.close());

    const names = [...new Set(this.#node.virtualIps.map((vip) => vip.interface))];
    const tuns = names.map((name) => ({ name, tun: this.resources.use(TunDevice.open("vipfarm%d")) }));
    for (const { name, tun } of tuns) this.#setUpHost(name, tun);
    await Promise.all(tuns.map(({ name, tun }) => this.#startDataplane(name, tun, keys.flowKey)));
    this.#farm = new Farm({
      config,
      node: this.#node,
      keys,
      events: this.#events,
      claims: this.#claims,
      dataplanes: this.#dataplanes,
      order: (node, verb, value) => this.#orders.give(node, verb, value),
      now32: boottimeMs32,
    });
    await this.#startMembership(keys);
    const frames = setInterval(
      () => this.#membership.send({ kind: "vipFrames", count: this.#farm.vipFramesSeen() }),
      FRAMES_INTERVAL_MS,
    );
    this.resources.defer(() => clearInterval(frames));
    await this.#serveAdmin();
    this.#record({
      severity: "info",
      kind: "node.started",
      message: `${this.#node.name} runs in farm ${config.farm} with ${
        this.#node.virtualIps.map(({ address }) => address.text).join(", ")
      }.`,
      node: this.#node.name,
    });
  }

  /** Waits for a signal or a failure, and leaves the farm in order. Returns the exit code. */
  async untilStopped(): Promise<number> {
    const signals = ["SIGTERM", "SIGINT"] as const;
    const reload = () => void this.#reload();
    Deno.addSignalListener("SIGHUP", reload);
    let stop = Promise.withResolvers<void>();
    const onSignal = () => stop.resolve();
    for (const signal of signals) Deno.addSignalListener(signal, onSignal);
    const failed = this.#failed.promise;
    try {
      const failure = await Promise.race([stop.promise, failed]);
      if (failure !== undefined) return failure;
      stop = Promise.withResolvers();
      await this.#leave(stop.promise);
      return EXIT.done;
    } finally {
      for (const signal of signals) Deno.removeSignalListener(signal, onSignal);
      Deno.removeSignalListener("SIGHUP", reload);
    }
  }

  /** Takes up the file as it is now: all of it, or nothing. */
  async #reload(): Promise<void> {
    const refuse = (message: string) =>
      this.#record({ severity: "error", kind: "config.not_reloaded", message });
    const next = await this.options.reread();
    if (next === undefined) return refuse("The configuration has errors: it stays as it was.");
    const restart = needsRestart(this.#config, next);
    if (restart.length > 0) {
      return refuse(`The configuration stays as it was: a change of ${restart.join(", ")} needs a restart.`);
    }
    this.#config = next;
    this.#settings.configure(next);
    this.#record({ severity: "info", kind: "config.reloaded", message: "The configuration was read again." });
  }

  /**
   * Gives every bucket up, lets requests under way end, says goodbye. A second signal (`hurry`) ends the waiting.
   */
  async #leave(hurry: Promise<void>): Promise<void> {
    this.#record({ severity: "info", kind: "node.stopping", message: `${this.#node.name} leaves the farm.` });
    this.#membership.send({ kind: "leave" });
    await within(this.#handedOver.promise, STOP_STEP_MS_MAX);
    const lingerMs = Math.max(this.#config.drainOnStopMs, STOP_LINGER_MS);
    await within(Promise.race([hurry, this.#connectionsEnded(boottimeMs() + lingerMs)]), lingerMs);
    this.#membership.send({ kind: "goodbye" });
    await within(this.#finished.promise, STOP_STEP_MS_MAX);
    this.#stopDataplanes();
    await within(Promise.all(this.#dataplanes.map(({ ended }) => ended.promise)), STOP_STEP_MS_MAX);
    const open = this.#connections.count;
    this.#record({
      severity: open > 0 ? "warning" : "info",
      kind: "node.stopped",
      message: open > 0
        ? `${this.#node.name} has left the farm; ${open} open connections were cut.`
        : `${this.#node.name} has left the farm.`,
    });
  }

  async #connectionsEnded(deadlineMs: number): Promise<void> {
    await this.#packetsDecided();
    for (;;) {
      this.#connections.look();
      if (this.#connections.count === 0 || boottimeMs() >= deadlineMs) return;
      await new Promise((next) => setTimeout(next, ENDED_LOOK_MS));
    }
  }

  /**
   * Waits until the packet threads have finished what they were deciding when this was called. A packet that was
   * accepted by claims as they were may be on its way into the kernel, where a look at it would miss its connection.
   */
  async #packetsDecided(): Promise<void> {
    const before = this.#dataplanes.map(({ counters }) => counters.sweeps);
    for (const { thread } of this.#dataplanes) thread.wake.signal();
    while (
      !this.#claims.stopRequested && this.#dataplanes.some(({ counters }, i) => counters.sweeps === before[i])
    ) {
      await new Promise((next) => setTimeout(next, 1));
    }
  }

  #undoLeftovers(): void {
    const { undone, left, dropped } = undoLeftovers(this.options.runtimeDir);
    if (undone.length > 0) {
      const settings = undone.length === 1 ? "1 setting" : `${undone.length} settings`;
      this.#record({
        severity: "warning",
        kind: "host.leftovers_undone",
        message: `The last run did not end cleanly: ${settings} of this host had to be put back.`,
      });
    }
    this.#reportLeft(left);
    if (dropped !== undefined) {
      this.#record({
        severity: "info",
        kind: "host.journal_dropped",
        message: `Old undo journal: ${dropped}.`,
      });
    }
  }

  /** Settings of the interface first, then the virtual IPs on the TUN device; and somebody to look after them. */
  #setUpHost(interfaceName: string, tun: TunDevice): void {
    this.#changes ??= new HostChanges(this.options.runtimeDir);
    const host = setUpHost({
      tun,
      interfaces: [interfaceName],
      virtualIps: this.#node.virtualIps.filter((vip) => vip.interface === interfaceName)
        .map(({ address }) => address),
      runtimeDir: this.options.runtimeDir,
      changes: this.#changes,
    });
    this.resources.defer(() => this.#reportLeft(host.undo().left));
    const { index } = interfaceByName(interfaceName);
    const timer = setInterval(() => {
      if (this.#isThere(interfaceName, index)) this.#renewHost(host, interfaceName);
    }, HOST_INTERVAL_MS);
    this.resources.defer(() => clearInterval(timer));
  }

  /**
   * Whether the interface is still the one that was set up. The sockets of one that was removed stay deaf, even when
   * another gets its name: the daemon ends then, and whoever supervises it starts it anew.
   */
  #isThere(interfaceName: string, index: number): boolean {
    let problem: string;
    try {
      if (interfaceByName(interfaceName).index === index) return true;
      problem = `interface ${interfaceName} was replaced by another of that name`;
    } catch (error) {
      problem = `interface ${interfaceName} is gone: ${error instanceof Error ? error.message : error}`;
    }
    if (!this.#claims.stopRequested) this.#fail(new Error(problem));
    return false;
  }

  #renewHost(host: HostSetUp, interfaceName: string): void {
    try {
      for (const { path, former, value } of host.renew()) {
        this.#record({
          severity: "warning",
          kind: "host.setting_mended",
          message: `Somebody set ${path} to ${former}; it is ${value} again.`,
        });
      }
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      this.#record({
        severity: "error",
        kind: "host.setting_wrong",
        message: `The settings of ${interfaceName} cannot be mended: ${problem}.`,
      });
    }
  }

  #reportLeft(left: ReadonlyArray<{ path: string; why: string }>): void {
    for (const { path, why } of left) {
      this.#record({
        severity: "warning",
        kind: "host.setting_left",
        message: `${path} stays as it is: ${why}.`,
      });
    }
  }

  async #startDataplane(interfaceName: string, tun: TunDevice, flowKey: Uint8Array): Promise<void> {
    const { index, mac } = interfaceByName(interfaceName);
    const counters = SharedCounters.create();
    const ready = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<void>();
    const thread = this.resources.adopt(
      new Thread<ToDataplane, FromDataplane>(
        new URL("./dataplane.worker.ts", import.meta.url),
        `packet (${interfaceName})`,
        (message) => {
          if (message.kind === "ended") return ended.resolve();
          if (message.prefilterRefused !== undefined) {
            dataplane.filtered = undefined;
            this.#prefilter.refused(message.prefilterRefused);
          }
          ready.resolve();
        },
        (error) => this.#fail(error, ready),
      ),
      (thread) => thread.close(),
    );
    const vips = planVips(this.#node, interfaceName);
    const services = planServices(this.#config.services, vips);
    const { uncovered } = this.#config;
    const prefilter = this.#prefilter.load({ vips, services, uncovered, flowKey });
    const dataplane: Dataplane = {
      interface: interfaceName,
      counters,
      filtered: prefilter?.dropped,
      thread,
      ended,
    };
    this.#dataplanes.push(dataplane);
    const plan: DataplanePlan = {
      interfaceIndex: index,
      interfaceMac: mac,
      tunDescriptor: tun.fd,
      tunName: tun.name,
      wakeDescriptor: thread.wake.fd,
      ringFrames: RING_FRAMES,
      vips,
      services,
      uncovered,
      flowKey,
      prefilterDescriptor: prefilter?.descriptor,
      claims: this.#claims.buffer,
      counters: counters.buffer,
    };
    thread.start({ kind: "start", plan });
    await ready.promise;
  }

  async #startMembership(keys: ReturnType<typeof deriveKeys>): Promise<void> {
    const { heartbeat, services, servicesDigest } = this.#config;
    this.#membership = this.resources.adopt(
      new Thread<ToMembership, FromMembership>(
        new URL("./membership.worker.ts", import.meta.url),
        "membership",
        (message) => this.#fromMembership(message),
        (error) => this.#fail(error, this.#started),
      ),
      (thread) => thread.close(),
    );
    this.resources.defer(() => clearTimeout(this.#lookTimer));
    this.#membership.start({
      kind: "start",
      plan: {
        name: this.#node.name,
        incarnation: Math.floor(realtimeMs()),
        intervalMs: heartbeat.intervalMs,
        weights: this.#settings.weights(),
        draining: this.#settings.draining,
        servicesDigest,
        port: heartbeat.port,
        networks: this.#heartbeatNetworks(),
        keys,
        wakeDescriptor: this.#membership.wake.fd,
        tables: [
          { keepsConnections: false },
          ...services.map(({ protocol }) => ({
            keepsConnections: protocol === "tcp",
          })),
        ],
        claims: this.#claims.buffer,
        interestDescriptor: this.#prefilter.interestDescriptor,
      },
    });
    await this.#started.promise;
  }

  #heartbeatNetworks(): HeartbeatNetwork[] {
    const interfaces = this.#node.heartbeatInterfaces.map((name) => {
      const { index } = interfaceByName(name);
      return { name, index, addresses: addresses(index) };
    });
    const own = addresses().map(({ address }) => address);
    const { networks, warnings } = planNetworks(this.#config.heartbeat, interfaces, own);
    for (const message of warnings) this.#record({ severity: "warning", kind: "heartbeat.peers", message });
    return networks;
  }

  #fromMembership(message: FromMembership): void {
    switch (message.kind) {
      case "ready":
        return this.#started.resolve();
      case "view":
        return this.#farm.update(message.members, message.basis);
      case "event":
        return this.#record(message.event);
      case "order": {
        const { code, text } = this.#settings.obey(message.order);
        return this.#membership.send({ kind: "answer", id: message.order.id, code, text });
      }
      case "orderResult":
        return this.#orders.settle(message);
      case "lost":
        return void this.#look(message.lossCount);
      case "retained":
        this.#retainedGroups = message.groups;
        return;
      case "counters":
        return this.#farm.updateTotals(message.counters);
      case "networks":
        return this.#farm.updateNetworks(message);
      case "handedOver":
        return this.#handedOver.resolve();
      case "finished":
        return this.#finished.resolve();
    }
  }

  /** Tells the membership thread which buckets the kernel has connections in; again until there are none. */
  async #look(lossCount: number): Promise<void> {
    clearTimeout(this.#lookTimer);
    await this.#packetsDecided();
    if (this.#claims.stopRequested) return;
    clearTimeout(this.#lookTimer);
    this.#membership.send({ kind: "connections", lossCount, held: this.#connections.look() });
    this.#lookTimer = setTimeout(() => {
      if (this.#retainedGroups > 0) void this.#look(lossCount);
    }, CONNECTIONS_INTERVAL_MS);
  }

  async #serveAdmin(): Promise<void> {
    const { listen, tokensFile } = this.#config.admin;
    const tokens = tokensFile === undefined ? undefined : await TokenStore.load(tokensFile);
    const app = createAdminApp(this.#farm, { listen, tokens, report: (error) => this.#reportAdmin(error) });
    const server = await serveAdmin({
      app,
      unixPath: `${this.options.runtimeDir}/admin.sock`,
      listen,
      tokens: tokens !== undefined,
    });
    this.resources.defer(() => server.shutdown());
  }

  #reportAdmin(error: Error): void {
    this.#record({
      severity: "error",
      kind: "admin.failed",
      message: `The admin endpoint failed: ${error.message}`,
    });
  }

  #record(event: FarmEventInit): void {
    logEvent(this.#events.record(event));
  }

  #stopDataplanes(): void {
    this.#claims.silence(boottimeMs32());
    this.#claims.requestStop();
    for (const { thread } of this.#dataplanes) thread.wake.signal();
  }

  /** What this node needs is gone: it must not go on answering. The host is put back and the process ends. */
  #fail(error: Error, waiting?: { reject(reason: Error): void }): void {
    this.#stopDataplanes();
    this.#record({
      severity: "error",
      kind: "node.failed",
      message: `${this.#node.name} stops: ${error.message}`,
    });
    waiting?.reject(error);
    this.#failed.resolve(EXIT.no);
  }
}

/** Waits for `promise`, but not longer than `timeoutMs`. */
async function within(promise: Promise<unknown>, timeoutMs: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<void>((resolve) => timer = setTimeout(resolve, timeoutMs));
  await Promise.race([promise, timeout]);
  clearTimeout(timer);
}
